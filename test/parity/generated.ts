import { decodePng } from '#codecs/png.ts';
import type { ReadFile } from '#engine/models/pack-files.ts';
import type { Model } from '#engine/models/model.ts';
import type { Runtime, Session, TensorValue } from '#engine/runtime/runtime.ts';
import { toAppError } from '#protocol/error.ts';
import type { GenerateJob } from '#protocol/job.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { relativeError } from '../support/relative-error.ts';
import { runOpened } from '../support/run-opened.ts';
import type { ParityCase } from './case.ts';

const LATENTS_TOLERANCE = 1e-3;

/** Of images whose values go from 0 to 1. */
const IMAGE_TOLERANCE = 2 / 255;

/** What a reference pipeline made: its last latents, and its image in 0 … 1. */
export interface Made {
  latents: Float32Array;
  image: Float32Array;
}

/**
 * Compares what the app generates with what a reference pipeline made, as two cases: `<name> latents` and `<name> image`.
 * What the app says it cannot do is not supported.
 */
export async function* compareGenerated(
  name: string,
  generate: () => Promise<Made>,
  reference: () => Promise<Made>,
): AsyncGenerator<ParityCase> {
  const latents = { name: `${name} latents`, tolerance: LATENTS_TOLERANCE };
  const image = { name: `${name} image`, tolerance: IMAGE_TOLERANCE };
  try {
    const [actual, expected] = [await generate(), await reference()];
    yield { ...latents, error: relativeError(actual.latents, expected.latents), supported: true };
    const off = largestDifference(actual.image, expected.image);
    yield { ...image, error: off, supported: true, note: `${(255 * off).toFixed(2)} of 255` };
  } catch (thrown) {
    const { code, message } = toAppError(thrown);
    const supported = code !== 'unsupported_feature';
    for (const line of [latents, image]) yield { ...line, error: Infinity, supported, note: message };
  }
}

/** The same of the latents alone, where the reference keeps no image. */
export async function* compareLatents(
  name: string,
  generate: () => Promise<Made>,
  reference: () => Promise<Float32Array>,
): AsyncGenerator<ParityCase> {
  const image = new Float32Array();
  const withoutImage = async () => ({ ...(await generate()), image });
  for await (const line of compareGenerated(name, withoutImage, async () => ({
    latents: await reference(),
    image,
  }))) {
    if (line.name.endsWith(' latents')) yield line;
  }
}

/** Runs a job of one image; its latents are the last ones the VAE's decoder was given, at the UNet's scale. */
export async function generateOne(
  runtime: Runtime,
  model: Model,
  job: GenerateJob,
  addOns: readonly AddOnPack[] = [],
  filesOf?: (pack: AddOnPack) => ReadFile,
  others: readonly Model[] = [],
): Promise<Made> {
  let decoderInput: TensorValue | undefined;
  let file: Blob | undefined;
  const watch = (watched: Model): Model => ({
    ...watched,
    async load(changes, installed) {
      const loaded = await watched.load(changes, installed);
      return { ...loaded, vaeDecoder: watchInput(loaded.vaeDecoder, (input) => (decoderInput = input)) };
    },
  });
  const emit: Parameters<typeof runOpened>[3] = (event) => {
    if (event.type === 'artifact') file = event.file;
  };
  await runOpened(runtime, watch(model), job, emit, addOns, filesOf, others.map(watch));
  if (!file) throw new Error('The pipeline ended without an image.');
  return {
    latents: floatsOf(decoderInput).map((value) => value * model.pack.latent.scalingFactor),
    image: imageFloats(new Uint8Array(await file.arrayBuffer())),
  };
}

/** The red, green and blue of a PNG file in 0 … 1. */
export function imageFloats(png: Uint8Array): Float32Array {
  const { channels, data } = decodePng(png);
  if (channels !== 3) throw new Error(`The image has ${channels} channels.`);
  return Float32Array.from(data, (value) => value / 255);
}

/** A session that tells what its first input is in each run. */
function watchInput(session: Session, tell: (input: TensorValue | undefined) => void): Session {
  return {
    ...session,
    run(inputs) {
      tell(Object.values(inputs)[0]);
      return session.run(inputs);
    },
  };
}

function floatsOf(value: TensorValue | undefined): Float32Array {
  if (!value || !('data' in value) || value.type !== 'float32') throw new Error('No floats went in.');
  return value.data;
}

function largestDifference(actual: Float32Array, expected: Float32Array): number {
  if (actual.length !== expected.length) return Infinity;
  return expected.reduce((largest, value, i) => Math.max(largest, Math.abs(value - (actual[i] ?? NaN))), 0);
}
