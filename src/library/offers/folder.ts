import { recogniseWeights } from '#weights/recognise.ts';
import type { Component } from '#weights/checkpoint.ts';
import { readJsonFile, type Listing, type SourceFile } from '#library/sources/source-file.ts';
import type { BackendInfo } from '#protocol/engine-host.ts';
import { families } from '#protocol/families.ts';
import type { ConfigFile } from '#protocol/model.ts';
import { componentsOf, isImportedFamily } from './families.ts';
import { countInWords, refusedFinding, type Finding } from './finding.ts';
import { inspectOnnxNetwork } from './onnx-network.ts';
import { inspectOnnxPipeline } from './onnx-pipeline.ts';
import { openComponents } from './open-components.ts';
import { inspectSafetensors, modelFinding } from './single-file.ts';

const CONFIGS = [
  'model_index.json',
  'unet/config.json',
  'vae/config.json',
  'text_encoder/config.json',
  'text_encoder_2/config.json',
  'scheduler/scheduler_config.json',
];

const FOLDERS = ['unet', 'vae', 'text_encoder', 'text_encoder_2'] as const satisfies readonly Component[];

/** Names of a network's weights in diffusers and transformers, the most wanted first. */
const WEIGHT_NAMES = [
  /^(?:diffusion_pytorch_model|model)\.safetensors$/,
  /^(?:diffusion_pytorch_model|model)-\d{5}-of-(\d{5})\.safetensors$/,
  /^(?:diffusion_pytorch_model|model)\.fp16\.safetensors$/,
  /^(?:diffusion_pytorch_model|model)(?:\.fp16-\d{5}-of-(\d{5})|-\d{5}-of-(\d{5})\.fp16)\.safetensors$/,
];

/**
 * Recognises a folder or repository: a pipeline in the layout of diffusers, as safetensors or as ONNX graphs, or a
 * single file of weights beside what goes with it.
 * @throws AppError `integrity_failed` for damaged files, `download_failed`
 */
export async function inspectFolder(listing: Listing, device: BackendInfo | null): Promise<Finding> {
  const has = (start: string) => listing.files.some(({ path }) => path.startsWith(start));
  if (has('unet/')) {
    const weights = FOLDERS.map((folder) => chooseWeights(listing, folder));
    const configs = await readConfigs(listing);
    if (weights.some((found) => found.length > 0))
      return inspectPipeline(listing, weights.flat(), configs, device);
    if (has('unet/model.onnx')) return inspectOnnxPipeline(listing, configs, device);
    const isPickled = listing.files.some(({ path }) => /^unet\/.*\.(?:bin|pt|ckpt)$/.test(path));
    return refusedFinding(
      isPickled
        ? 'Its weights are PyTorch pickles (.bin), and opening a pickle can run any program. Look for a version with .safetensors files.'
        : 'Its unet folder has no weights of a name that diffusers gives (diffusion_pytorch_model.safetensors, model.onnx).',
    );
  }
  if (has('transformer/')) {
    return refusedFinding(
      'It is a model with a transformer in place of a UNet (SD 3, Flux …), which this engine does not run.',
      {
        family: 'other',
      },
    );
  }
  const hasGraphs = listing.files.some(({ path }) => path.endsWith('.onnx'));
  // Repositories of taggers and depth networks have their weights beside the graph too.
  const network = hasGraphs ? await inspectOnnxNetwork(listing) : null;
  if (network) return network;
  const top = listing.files.filter(({ path }) => !path.includes('/') && path.endsWith('.safetensors'));
  const preferred = WEIGHT_NAMES.map((name) => top.filter(({ path }) => name.test(path))).find(
    (found) => found.length > 0,
  );
  const [only, ...more] = preferred ?? top;
  if (only && more.length === 0) return inspectSafetensors(only, listing.title, device);
  if (only) {
    const names = [only, ...more].slice(0, 5).map(({ path }) => path);
    return refusedFinding(
      `It has several files of weights; import one of them: ${names.join(', ')}${more.length > 4 ? ' …' : ''}`,
    );
  }
  if (hasGraphs) {
    return refusedFinding(
      'Its ONNX graphs are not in the layout of diffusers (unet/model.onnx, text_encoder/model.onnx, vae_decoder/model.onnx): they were made for one program, with shapes and helpers of its own.',
      { format: 'onnx' },
    );
  }
  return refusedFinding('There is no .safetensors file in it and no pipeline in the layout of diffusers.');
}

/** The files of one network's weights: one, or all of its shards. */
function chooseWeights({ files }: Listing, folder: string): SourceFile[] {
  const inside = files.filter(({ path }) => path.startsWith(`${folder}/`));
  for (const name of WEIGHT_NAMES) {
    const found = inside.filter(({ path }) => name.test(path.slice(folder.length + 1)));
    if (found.length > 0) return found;
  }
  return [];
}

async function readConfigs({ files }: Listing): Promise<Record<string, ConfigFile>> {
  const configs: Record<string, ConfigFile> = {};
  for (const file of files) if (CONFIGS.includes(file.path)) configs[file.path] = await readJsonFile(file);
  return configs;
}

async function inspectPipeline(
  listing: Listing,
  weights: readonly SourceFile[],
  configs: Readonly<Record<string, ConfigFile>>,
  device: BackendInfo | null,
): Promise<Finding> {
  const files = weights.map((file) => ({ path: file.path, file }));
  const missing = missingShards(weights);
  if (missing !== null) return refusedFinding(missing, { kind: 'model', format: 'safetensors' }, files);

  const components = await openComponents(files);
  const unet = components.get('unet');
  const found = unet && recogniseWeights(unet);
  const family = found?.family ?? null;
  const known = {
    kind: 'model',
    family,
    format: 'safetensors',
    type: found?.type ?? null,
    parameters: null,
    summary: 'Diffusers pipeline',
  } as const;
  if (!found) return refusedFinding('It is incomplete: it has no weights for unet.', known, files);
  if (!isImportedFamily(family)) {
    return refusedFinding('It is for a family of models this engine does not run.', known, files);
  }
  let parameters = 0;
  for (const network of components.values()) parameters += recogniseWeights(network).parameters;
  const lacking = componentsOf(family).filter((component) => !components.has(component));
  const stated = configs['scheduler/scheduler_config.json']?.['prediction_type'];
  return modelFinding({
    family,
    components,
    variant: found.variant,
    prediction: stated === 'v_prediction' || stated === 'epsilon' ? stated : found.prediction,
    zeroTerminalSnr: found.zeroTerminalSnr,
    files,
    title: listing.title,
    device,
    known: {
      ...known,
      parameters,
      summary: `${families[family].shortTitle} pipeline, ${found.type ?? 'weights'}, ${countInWords(parameters)} parameters`,
    },
    problem:
      lacking.length > 0
        ? `It is incomplete: it has no weights for ${lacking.join(' and ')}.`
        : found.variant === 'edit'
          ? 'It changes images by instructions (InstructPix2Pix), which this engine does not run yet.'
          : null,
    configs,
    tokenizer: tokenizerOf(listing),
  });
}

function tokenizerOf({ files }: Listing): { path: string; file: SourceFile }[] {
  const found = files.filter(
    ({ path }) => path === 'tokenizer/vocab.json' || path === 'tokenizer/merges.txt',
  );
  return found.length === 2 ? found.map((file) => ({ path: file.path, file })) : [];
}

/** Why the shards are not all there; null where they are. */
function missingShards(weights: readonly SourceFile[]): string | null {
  for (const { path } of weights) {
    const count = Number(/-of-(\d{5})/.exec(path)?.[1] ?? 1);
    const folder = path.slice(0, path.lastIndexOf('/') + 1);
    const here = weights.filter((other) => other.path.startsWith(folder)).length;
    if (here < count) return `It is incomplete: of the ${count} parts of ${folder} only ${here} are here.`;
  }
  return null;
}
