import { resolveExternalFile, type OnnxHeader } from '#codecs/onnx-header.ts';
import type { Listing, SourceFile } from '#library/sources/source-file.ts';
import type { BackendInfo } from '#protocol/engine-host.ts';
import { families, familyByTextWidth } from '#protocol/families.ts';
import type { ConfigFile } from '#protocol/model.ts';
import {
  familyConfigs,
  isImportedFamily,
  modelFacts,
  tokenizerFiles,
  type ImportedFamily,
} from './families.ts';
import { ACTIVATION_BYTES, countInWords, refusedFinding, toPackFile, type Finding } from './finding.ts';
import { openOnnx } from './onnx-graph.ts';

/** Graphs of a pipeline in diffusers' ONNX layout; those at the end only where they are there. */
const NEEDED = ['unet', 'text_encoder', 'vae_decoder'] as const;
const OPTIONAL = ['text_encoder_2', 'vae_encoder'] as const;

/**
 * Recognises a folder of ONNX graphs in the layout of diffusers: `unet/model.onnx` and the others, with their
 * weights inside or in files beside them.
 * @param configs the folder's configuration files, by path
 * @throws AppError `integrity_failed` for a damaged graph, `download_failed`
 */
export async function inspectOnnxPipeline(
  listing: Listing,
  configs: Readonly<Record<string, ConfigFile>>,
  device: BackendInfo | null,
): Promise<Finding> {
  const byPath = new Map(listing.files.map((file) => [file.path, file]));
  const lacking = NEEDED.filter((folder) => !byPath.has(`${folder}/model.onnx`));
  const known = { kind: 'model', format: 'onnx', summary: 'ONNX pipeline' } as const;
  if (lacking.length > 0) {
    return refusedFinding(
      `It is incomplete: it has no ${lacking.map((name) => `${name}/model.onnx`).join(', no ')}.`,
      known,
    );
  }

  const files = new Map<string, SourceFile>();
  const numbers = new Map<string, number>();
  let unet: OnnxHeader | undefined;
  for (const folder of [...NEEDED, ...OPTIONAL]) {
    const file = byPath.get(`${folder}/model.onnx`);
    if (!file) continue;
    const header = await openOnnx(file);
    if (folder === 'unet') unet = header;
    files.set(file.path, file);
    for (const [type, count] of header.numbers) numbers.set(type, (numbers.get(type) ?? 0) + count);
    for (const name of header.externalFiles) {
      const path = resolveExternalFile(folder, name);
      const beside = path === undefined ? undefined : byPath.get(path);
      if (!beside)
        return refusedFinding(
          `It is incomplete: ${file.path} keeps weights in “${name}” (${path ?? 'outside of the folder'}), which is missing.`,
          known,
        );
      files.set(beside.path, beside);
    }
    // If a graph was not read to its end, any file beside it may hold its weights.
    if (!header.isComplete) {
      for (const beside of listing.files.filter(({ path }) => isBeside(path, folder))) {
        files.set(beside.path, beside);
      }
    }
  }
  const types = [...numbers].sort(([, a], [, b]) => b - a);
  const type = types[0]?.[0] ?? null;
  const parameters = types.reduce((sum, [, count]) => sum + count, 0);
  const family = familyOf(configs['unet/config.json'], unet);
  if (!family) {
    return refusedFinding('It is not known which family of models its UNet belongs to.', {
      ...known,
      type,
      parameters,
    });
  }
  const summary = `${families[family].shortTitle} ONNX pipeline${type === null ? '' : `, ${type}`}, ${countInWords(parameters)} parameters`;
  const stated = configs['scheduler/scheduler_config.json']?.['prediction_type'];
  const prediction = {
    type: stated === 'v_prediction' ? 'v_prediction' : 'epsilon',
    certain: stated !== undefined,
  } as const;
  const facts = { ...known, family, type, parameters, summary, prediction };

  const tokenizer = ['tokenizer/vocab.json', 'tokenizer/merges.txt'].flatMap(
    (path) => byPath.get(path) ?? [],
  );
  const ownTokenizer = tokenizer.length === 2 ? tokenizer : [];
  const brought = [...ownTokenizer, ...files.values()];
  const listed = brought.map((file) => ({ path: file.path, file }));
  if ((numbers.get('float16') ?? 0) > 0 && device?.provider === 'webgpu' && !device.float16) {
    return refusedFinding(
      'Its graphs compute in float16, which the GPU here cannot (it lacks shader-f16). Look for a float32 version, or import the model as .safetensors.',
      facts,
      listed,
    );
  }
  const sizeBytes = brought.reduce((sum, file) => sum + file.size, 0);
  return {
    offer: {
      ...facts,
      options: [{ storage: 'exact', sizeBytes, memoryBytes: sizeBytes + ACTIVATION_BYTES }],
      warnings: [],
      problem: null,
    },
    licence: null,
    files: listed,
    draft(choice) {
      const predicted = choice.prediction ?? prediction.type;
      const own = ownTokenizer.length > 0 ? [] : tokenizerFiles();
      const merged = { ...familyConfigs(family, predicted), ...configs };
      return Promise.resolve({
        kind: 'model',
        family,
        weights: 'onnx',
        description: summary,
        files: [...own, ...listed.map(toPackFile)],
        configs: merged,
        ...modelFacts(family, listing.title, predicted),
      });
    },
  };
}

/** Whether a file in a graph's folder may hold weights. */
function isBeside(path: string, folder: string): boolean {
  return path.startsWith(`${folder}/`) && !/\.(?:onnx|json|txt|md)$/.test(path);
}

/** By the width of the text features that the UNet reads, as its configuration or its graph has it. */
function familyOf(config: ConfigFile | undefined, unet: OnnxHeader | undefined): ImportedFamily | undefined {
  const context = unet?.inputs.find(({ name }) => name === 'encoder_hidden_states')?.shape.at(-1);
  const width = config?.['cross_attention_dim'] ?? context;
  const known = typeof width === 'number' ? familyByTextWidth(width) : undefined;
  if (known !== undefined) return isImportedFamily(known) ? known : undefined;
  return unet?.inputs.some(({ name }) => name === 'time_ids') ? 'sdxl' : undefined;
}
