import { AppError } from '#protocol/error.ts';
import type { ModelPack } from '#protocol/model.ts';
import type { Runtime, Session } from '#engine/runtime/runtime.ts';
import type { NoiseModel } from '#engine/samplers/noise-model.ts';
import { createClipTokenizer, type ClipTokenizer } from '#engine/tokenizers/clip.ts';

/** Reads a file of a model by its path in the diffusers layout; undefined when it is not there. */
export type ReadFile = (path: string) => Promise<Blob | undefined>;

/** A Stable Diffusion pipeline ready to run. */
export interface LoadedModel {
  pack: ModelPack;
  tokenizer: ClipTokenizer;
  textEncoder: Session;
  unet: Session;
  vaeDecoder: Session;
  /**
   * The VAE's other half, opened when it is first asked for.
   * @throws AppError `unsupported_feature` where the model has none, and what the runtime throws
   */
  vaeEncoder(): Promise<Session>;
  noiseModel: NoiseModel;
  release(): Promise<void>;
}

type Json = Readonly<Record<string, unknown>>;

/** A file of a pack. @throws AppError `model_not_found` when it is missing */
async function readOf(pack: ModelPack, readFile: ReadFile, path: string): Promise<Blob> {
  const blob = await readFile(path);
  if (blob) return blob;
  throw new AppError(
    'model_not_found',
    `${pack.title} is not complete: ${path} is missing. Install it again.`,
    {
      detail: { model: pack.id, file: path },
    },
  );
}

async function readJsonOf(pack: ModelPack, readFile: ReadFile, path: string): Promise<Json> {
  const value: unknown = JSON.parse(await (await readOf(pack, readFile, path)).text());
  if (typeof value === 'object' && value !== null) return { ...value };
  throw new AppError('integrity_failed', `${path} of ${pack.title} is not a JSON object.`, {
    detail: { file: path },
  });
}

/** What samplers must know of a pack; needs none of its weights. @throws AppError `model_not_found` */
export async function readNoiseModel(pack: ModelPack, readFile: ReadFile): Promise<NoiseModel> {
  return { schedulerConfig: await readJsonOf(pack, readFile, 'scheduler/scheduler_config.json') };
}

/**
 * Loads a pack's graphs and tokenizer.
 * @throws AppError `model_not_found` when a file is missing, `integrity_failed` when one is not what it
 *   should be, and what the runtime throws
 */
export async function loadModel(pack: ModelPack, runtime: Runtime, readFile: ReadFile): Promise<LoadedModel> {
  const opened: Session[] = [];
  async function open(path: string): Promise<Session> {
    const bytes = new Uint8Array(await (await readOf(pack, readFile, path)).arrayBuffer());
    const session = await runtime.createSession(bytes, { foldDequantization: true });
    opened.push(session);
    return session;
  }
  let encoder: Promise<Session> | undefined;
  async function vaeEncoder(): Promise<Session> {
    if (!(await readFile('vae_encoder/model.onnx'))) {
      throw new AppError(
        'unsupported_feature',
        `${pack.title} has no VAE encoder: it paints from texts, not from pictures.`,
      );
    }
    return (encoder ??= open('vae_encoder/model.onnx'));
  }
  const release = async () => {
    for (const session of opened.splice(0)) await session.release();
  };

  try {
    // The largest graph goes first, while the memory is in one piece.
    const unet = await open('unet/model.onnx');
    const textEncoder = await open('text_encoder/model.onnx');
    const vaeDecoder = await open('vae_decoder/model.onnx');
    const [vocabulary, merges, tokenizerConfig, noiseModel] = await Promise.all([
      readJsonOf(pack, readFile, 'tokenizer/vocab.json'),
      readOf(pack, readFile, 'tokenizer/merges.txt').then((blob) => blob.text()),
      readJsonOf(pack, readFile, 'tokenizer/tokenizer_config.json'),
      readNoiseModel(pack, readFile),
    ]);
    const padToken = tokenizerConfig['pad_token'];
    const tokenizer = createClipTokenizer(
      toVocabulary(vocabulary),
      merges,
      typeof padToken === 'string' ? { padToken } : {},
    );
    return { pack, tokenizer, textEncoder, unet, vaeDecoder, vaeEncoder, noiseModel, release };
  } catch (thrown) {
    await release();
    throw thrown;
  }
}

function toVocabulary(json: Json): Record<string, number> {
  return Object.fromEntries(
    Object.entries(json).filter((entry): entry is [string, number] => typeof entry[1] === 'number'),
  );
}
