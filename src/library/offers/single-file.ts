import { openCheckpoint } from '#weights/checkpoint.ts';
import { inferConfig } from '#weights/infer-config.ts';
import { recogniseWeights, type RecognisedWeights, type WeightKind } from '#weights/recognise.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import type { SourceFile } from '#library/sources/source-file.ts';
import type { BackendInfo } from '#protocol/engine-host.ts';
import { AppError } from '#protocol/error.ts';
import { families } from '#protocol/families.ts';
import {
  sumBytes,
  type AddOnKind,
  type ConfigFile,
  type Licence,
  type VisionWidths,
} from '#protocol/model.ts';
import {
  autoencoderConfig,
  familyConfigs,
  guessPrediction,
  isImportedFamily,
  modelFacts,
  tokenizerFiles,
  type ImportedFamily,
} from './families.ts';
import {
  countInWords,
  estimateMemory,
  quantisedFiles,
  refusedFinding,
  storageOptions,
  toPackFile,
  type Components,
  type Finding,
} from './finding.ts';

/** The kinds that are add-ons, as what. */
const ADD_ONS: Partial<Readonly<Record<WeightKind, AddOnKind>>> = {
  lora: 'lora',
  embedding: 'embedding',
  vae: 'vae',
  taesd: 'vae',
  controlnet: 'controlnet',
  upscaler: 'upscaler',
  'clip-vision': 'clip-vision',
  'safety-checker': 'safety-checker',
  'ip-adapter': 'ip-adapter',
};

const KIND_TITLES: Readonly<Record<WeightKind, string>> = {
  checkpoint: 'checkpoint',
  unet: 'UNet',
  vae: 'VAE',
  taesd: 'tiny VAE',
  'text-encoder': 'text encoder',
  controlnet: 'ControlNet',
  upscaler: 'upscaler',
  lora: 'LoRA',
  embedding: 'embedding',
  'clip-vision': 'CLIP vision model',
  'safety-checker': 'safety checker',
  'ip-adapter': 'IP-Adapter',
  't2i-adapter': 'T2I-Adapter',
  unknown: 'file of weights',
};

/** Kinds that are known but cannot be imported on their own. */
const NOT_ALONE: Partial<Readonly<Record<WeightKind, string>>> = {
  unet: 'It is a UNet without text encoder and VAE. Drop the whole checkpoint, or the folder of the pipeline it belongs to.',
  'text-encoder':
    'It is a text encoder by itself. Drop the whole checkpoint, or the folder of the pipeline it belongs to.',
  't2i-adapter': 'It is a T2I-Adapter, which this engine does not run yet.',
};

const EDITING = 'It changes images by instructions (InstructPix2Pix), which this engine does not run yet.';

/**
 * Recognises a single `.safetensors` file from its header alone.
 * @param title what people call it; names say what headers do not
 * @throws AppError `integrity_failed` for a damaged file, `download_failed`
 */
export async function inspectSafetensors(
  file: SourceFile,
  title: string,
  device: BackendInfo | null,
): Promise<Finding> {
  let weights;
  try {
    weights = await openSafetensors(file, file.path);
  } catch (thrown) {
    if (thrown instanceof AppError && thrown.code === 'unsupported_feature')
      return refusedFinding(thrown.message);
    throw thrown;
  }
  const found = recogniseWeights(weights);
  const { components } = openCheckpoint(weights);
  const summary = summarise(found);
  const known = { family: found.family, format: 'safetensors', summary, ...numbersOf(found) } as const;
  const licence = statedLicence(weights.metadata);
  const addOn = ADD_ONS[found.kind];
  const problem = problemOf(found) ?? sizesProblem(components);

  if (found.kind === 'checkpoint' && isImportedFamily(found.family)) {
    const finding = await modelFinding({
      family: found.family,
      components,
      variant: found.variant,
      prediction: found.prediction,
      zeroTerminalSnr: found.zeroTerminalSnr,
      files: [{ path: 'checkpoint.safetensors', file }],
      title,
      device,
      known,
      problem,
    });
    return { ...finding, licence };
  }
  if (problem !== null || addOn === undefined) {
    return refusedFinding(problem ?? 'It is not known what this file is for.', {
      ...known,
      kind: found.kind === 'checkpoint' ? 'model' : (addOn ?? 'unknown'),
    });
  }
  const family = found.family === 'other' ? null : found.family;
  const vision = visionWidths(components);
  const placed = { path: 'model.safetensors', file };
  const metadata = keptMetadata(weights.metadata);
  const options =
    addOn === 'controlnet' || addOn === 'clip-vision'
      ? await storageOptions(components, file.size, 0, device)
      : [
          {
            storage: 'exact' as const,
            sizeBytes: file.size,
            memoryBytes: components.size > 0 ? estimateMemory(components, 'exact', device) : file.size,
          },
        ];
  return {
    offer: {
      ...known,
      kind: addOn,
      options,
      prediction: null,
      warnings: addOnWarnings(found),
      problem: null,
    },
    licence,
    files: [placed],
    draft: async ({ storage }) => ({
      kind: addOn,
      family,
      description: summary,
      files: storage === 'exact' ? [toPackFile(placed)] : await quantisedFiles(components, storage),
      ...(vision && { vision }),
      ...(Object.keys(metadata).length > 0 && { metadata }),
    }),
  };
}

/** Entries of a header's metadata that are longer stay in the file: a pack is sent about with every list of packs. */
const LONGEST_ENTRY = 256 * 1024;

/** Images within the metadata, which no list has a use for. */
const COVERS = 'ssmd_cover_images';

function keptMetadata(metadata: Readonly<Record<string, string>>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(metadata).filter(([name, value]) => name !== COVERS && value.length <= LONGEST_ENTRY),
  );
}

/** Says what of an add-on will have no effect. */
function addOnWarnings({ unknown }: RecognisedWeights): string[] {
  const [first] = unknown;
  return first === undefined
    ? []
    : [`${unknown.length} of its tensors, such as “${first}”, are not understood and will have no effect.`];
}

/** The parts of a model, from one file or from a folder. */
interface ModelParts {
  family: ImportedFamily;
  components: Components;
  variant: RecognisedWeights['variant'];
  /** As files state it; null where they do not. */
  prediction: RecognisedWeights['prediction'];
  zeroTerminalSnr: boolean;
  files: Finding['files'];
  title: string;
  device: BackendInfo | null;
  known: Pick<Finding['offer'], 'family' | 'format' | 'summary' | 'type' | 'parameters'>;
  problem: string | null;
  /** Configuration that came with it, by path; it goes before what is worked out. */
  configs?: Readonly<Record<string, ConfigFile>>;
  /** The tokenizer that came with it. */
  tokenizer?: Finding['files'];
}

/** The offer of a model kept as safetensors. */
export async function modelFinding(parts: ModelParts): Promise<Finding> {
  const { family, components, files, title, device, known, problem, tokenizer = [] } = parts;
  const guessed = guessPrediction(family, title);
  const prediction = {
    type: parts.prediction ?? guessed,
    certain: parts.prediction !== null || family !== 'sd2',
  };
  const offer = { ...known, kind: 'model', prediction } as const;
  if (problem !== null) return refusedFinding(problem, offer, files);

  const others = tokenizer.length > 0 ? tokenizer.map(toPackFile) : tokenizerFiles();
  const options = await storageOptions(components, sumBytes(files.map(toPackFile)), sumBytes(others), device);
  return {
    offer: { ...offer, options, warnings: warningsOf(parts, prediction), problem: null },
    licence: null,
    files: [...files, ...tokenizer],
    async draft(choice) {
      const type = choice.prediction ?? prediction.type;
      return {
        kind: 'model',
        family,
        weights: 'safetensors',
        description: known.summary,
        files: [
          ...others,
          ...(choice.storage === 'exact'
            ? files.map(toPackFile)
            : await quantisedFiles(components, choice.storage)),
        ],
        configs: mergeConfigs(parts, type),
        ...modelFacts(family, title, type),
      };
    },
  };
}

/** The family's own configuration and that of the networks, under what came along. */
function mergeConfigs(
  { family, components, configs: given = {}, zeroTerminalSnr }: ModelParts,
  prediction: 'epsilon' | 'v_prediction',
): Record<string, ConfigFile> {
  const SCHEDULER = 'scheduler/scheduler_config.json';
  const configs = familyConfigs(family, prediction);
  if (zeroTerminalSnr) configs[SCHEDULER] = { ...configs[SCHEDULER], rescale_betas_zero_snr: true };
  for (const [component, network] of components) {
    const inferred = inferConfig(component, network);
    configs[`${component}/config.json`] =
      component === 'vae' ? { ...inferred, ...autoencoderConfig(family) } : inferred;
  }
  Object.assign(configs, given);
  const scheduler = given[SCHEDULER];
  if (scheduler) configs[SCHEDULER] = { ...scheduler, prediction_type: prediction };
  return configs;
}

function warningsOf({ variant }: ModelParts, prediction: { certain: boolean }): string[] {
  const warnings: string[] = [];
  if (variant === 'inpaint')
    warnings.push('It is made for filling in masked parts of images; from a text alone it generates worse.');
  if (!prediction.certain)
    warnings.push(
      'The file does not say what it predicts; if images come out as noise, choose the other kind.',
    );
  return warnings;
}

function numbersOf({ type, parameters }: RecognisedWeights): Pick<Finding['offer'], 'type' | 'parameters'> {
  return { type, parameters: parameters > 0 ? parameters : null };
}

function problemOf(found: RecognisedWeights): string | null {
  if (found.problem !== null) return found.problem;
  if (found.variant === 'edit') return EDITING;
  const alone = NOT_ALONE[found.kind];
  if (alone !== undefined) return alone;
  if (found.family === 'other') return 'It is for a family of models this engine does not run.';
  return null;
}

/** Why no graph can be written for the networks, in the engine's words; null where it can. */
function sizesProblem(components: Components): string | null {
  try {
    for (const [component, network] of components) inferConfig(component, network);
    return null;
  } catch (thrown) {
    if (thrown instanceof AppError) return thrown.message;
    throw thrown;
  }
}

/** How an IP-Adapter and its CLIP vision model find each other. */
function visionWidths(components: Components): VisionWidths | null {
  const widthOf = (value: unknown) => (typeof value === 'number' ? value : undefined);
  for (const [component, network] of components) {
    if (component !== 'image_encoder' && component !== 'ip_adapter') continue;
    const config = inferConfig(component, network);
    const reads = widthOf(config['input_width']);
    const [embedding, patch] =
      component === 'image_encoder'
        ? [widthOf(config['projection_dim']), widthOf(config['hidden_size'])]
        : config['reads'] === 'image_embeds'
          ? [reads, undefined]
          : [undefined, reads];
    return { ...(embedding !== undefined && { embedding }), ...(patch !== undefined && { patch }) };
  }
  return null;
}

/** “SDXL checkpoint, float16, 2.6 billion parameters”. */
function summarise({ kind, family, adapter, type, parameters }: RecognisedWeights): string {
  const ofFamily = family === null || family === 'other' ? '' : `${families[family].shortTitle} `;
  const title =
    adapter !== null && adapter !== 'lora' && adapter !== 'other' ? `LoRA (${adapter})` : KIND_TITLES[kind];
  return [`${ofFamily}${title}`, type, `${countInWords(parameters)} parameters`]
    .filter((part) => part !== null)
    .join(', ')
    .replace(/^./, (first) => first.toUpperCase());
}

/** Stability's model specification has a place for it. */
function statedLicence(metadata: Readonly<Record<string, string>>): Licence | null {
  const name = metadata['modelspec.license']?.trim();
  if (name === undefined || name === '') return null;
  return { name: name.slice(0, 100), ...(/non-?commercial/i.test(name) && { nonCommercial: true }) };
}
