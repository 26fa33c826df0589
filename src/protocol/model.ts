/** A pack's name, such as `emoji-mini`; in prompts, what a LoRA or an embedding is called. */
export type ModelId = string;

/** One file of a pack. */
export interface PackFile {
  /** Path in the diffusers folder layout: `unet/model.onnx`. A checkpoint in one file is `checkpoint.safetensors`. */
  path: string;
  sizeBytes: number;
  /** Null where it is not known before the file has arrived. */
  sha256: string | null;
  /** Where it is fetched from, if not from the pack's `url` and its path; relative to the app's base URL, or absolute. */
  url?: string;
}

/** The terms a file comes under. */
export interface Licence {
  /** Short name, such as `MIT`; `unknown` for files of the user's own. */
  name: string;
  /** Where its text is. */
  url?: string;
  nonCommercial?: boolean;
}

/** What all packs have in common: files and where they come from. */
interface Pack {
  id: ModelId;
  title: string;
  description: string;
  /** Folder of the files, relative to the app's base URL, or absolute; null for files from the user's disk. */
  url: string | null;
  files: readonly PackFile[];
  licence: Licence;
  /** Whose work it stands on. */
  credits: string;
  /** Of imported packs: the address they were imported from, or null for the user's disk. */
  importedFrom?: string | null;
}

/** Which networks a model has; add-ons fit models of their own family. */
export type ModelFamily = 'emoji-mini' | 'sd1' | 'sd2' | 'sdxl' | 'sdxl-refiner';

/** JSON of a configuration file. */
export type ConfigFile = Readonly<Record<string, unknown>>;

/** A model as data: what it is, where its files are, what it was trained for. */
export interface ModelPack extends Pack {
  kind: 'model';
  family: ModelFamily;
  /** Graphs exported elsewhere, or weights around which the engine writes its own. */
  weights: 'onnx' | 'safetensors';
  /** Configuration files that were not delivered and that the import worked out, by path, as if they were in `files`. */
  configs?: Readonly<Record<string, ConfigFile>>;
  /** Pixels: sides this model was trained for, as [width, height] pairs. */
  trainedSizes: readonly (readonly [number, number])[];
  /**
   * `exact`: generates at any size it is asked for. `trained`: is run at one of `trainedSizes` and its images are
   * resized, because it knows nothing else.
   */
  sizing: 'exact' | 'trained';
  latent: LatentSpace;
  defaults: ModelDefaults;
}

/** A pack that is used with a checkpoint, or on images. */
export type AddOnKind =
  | 'lora'
  | 'embedding'
  | 'vae'
  | 'controlnet'
  | 'upscaler'
  /** Says whether an image is not safe for work. */
  | 'safety-checker'
  | 'face-restorer'
  /** Finds faces, persons or things in images. */
  | 'finder'
  /** Turns images into the maps that ControlNets read. */
  | 'preprocessor'
  | 'tagger'
  | 'captioner'
  | 'prompt-expansion'
  | 'ip-adapter'
  /** The image encoder of IP-Adapters. */
  | 'clip-vision'
  /** Makes checkpoints inpaint as Fooocus does: a head, or changes of the UNet's weights. */
  | 'inpaint-patch';

/** Everything that can be required by a job. */
export type PackKind = 'model' | AddOnKind;

/** What changes or completes a model, or reads its images: one `.safetensors`, or ONNX graphs. */
export interface AddOnPack extends Pack {
  kind: AddOnKind;
  /** Which network its files hold, where the kind has several: `nsfw-mobilenet-v2`, `movenet` …; of inpaint patches `head`, `v2.6` … */
  network?: string;
  /** Null where any family takes it, or where the file does not tell. */
  family: ModelFamily | null;
  /** Of IP-Adapters and CLIP vision models. */
  vision?: VisionWidths;
  /** The `__metadata__` of its file's header, as much of it as the import kept. */
  metadata?: Readonly<Record<string, string>>;
}

/**
 * How many numbers a CLIP vision model says of an image: in its embedding as a whole, and of each patch. Of IP-Adapters
 * the one of them that it reads; the two fit where it is the same.
 */
export interface VisionWidths {
  embedding?: number;
  patch?: number;
}

/** Everything that can be installed. */
export type AnyPack = ModelPack | AddOnPack;

/** Whether it comes with the app: a job that requires it brings it here from beside the app. */
export function isIncluded({ url }: AnyPack): boolean {
  return url !== null;
}

/** The latent space of a model. */
export interface LatentSpace {
  channels: number;
  /** Pixels per latent cell. */
  downscale: number;
  /** Sides that the networks can run are multiples of this many pixels. */
  sizeMultiple: number;
  /** Latents are divided by this before the VAE decoder. */
  scalingFactor: number;
}

/** Values the app and the dialects start from. */
export interface ModelDefaults {
  width: number;
  height: number;
  steps: number;
  guidanceScale: number;
  sampler: string;
  schedule: string;
}

/** Where a pack stands on this machine. */
export type ModelState =
  | { stage: 'absent' }
  | { stage: 'downloading'; receivedBytes: number; totalBytes: number; bytesPerSecond: number | null }
  | { stage: 'verifying'; file: string }
  | { stage: 'quantising'; doneBytes: number; totalBytes: number }
  | { stage: 'installed'; installedAt: number }
  | { stage: 'failed'; message: string; receivedBytes: number; totalBytes: number };

/** A pack as lists and panels show it. */
interface PackInfo<P extends AnyPack> {
  pack: P;
  /** Of all its files. */
  sizeBytes: number;
  /** SHA-256 of the largest file, which names the model in infotexts (A1111's model hash is its start); empty while unknown. */
  sha256: string;
  state: ModelState;
}

export interface ModelInfo extends PackInfo<ModelPack> {
  selected: boolean;
}

export type AddOnInfo = PackInfo<AddOnPack>;

/** The add-ons of a kind that jobs may name: installed ones, and after them those that come with the app. */
export function usableAddOns(addOns: readonly AddOnInfo[], kind: AddOnKind): AddOnInfo[] {
  const ofKind = addOns.filter(({ pack }) => pack.kind === kind);
  const imported = ofKind.filter(({ pack, state }) => !isIncluded(pack) && state.stage === 'installed');
  return [...imported, ...ofKind.filter(({ pack }) => isIncluded(pack))];
}

/** Bytes of files together. */
export function sumBytes(files: readonly { sizeBytes: number }[]): number {
  return files.reduce((sum, { sizeBytes }) => sum + sizeBytes, 0);
}

/** The SHA-256 of a pack's largest file, if the pack states it. */
export function packHash({ files }: Pick<AnyPack, 'files'>): string {
  const [largest] = [...files].sort((a, b) => b.sizeBytes - a.sizeBytes);
  return largest?.sha256 ?? '';
}
