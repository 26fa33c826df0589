/** A model pack's name, such as `emoji-mini`. */
export type ModelId = string;

/** One file of a pack. */
export interface PackFile {
  /** Path in the diffusers folder layout: `unet/model.onnx`. */
  path: string;
  sizeBytes: number;
  sha256: string;
}

/** A model as data: what it is, where its files are, what it was trained for. */
export interface ModelPack {
  id: ModelId;
  title: string;
  description: string;
  /** Which pipeline of the engine runs it. */
  family: 'stable-diffusion';
  /** Folder of the files, relative to the app's base URL, or an absolute URL. */
  url: string;
  files: readonly PackFile[];
  licence: string;
  /** Whose work it stands on. */
  credits: string;
  /** Pixels: sides this model was trained for, as [width, height] pairs. */
  trainedSizes: readonly (readonly [number, number])[];
  latent: LatentShape;
  defaults: ModelDefaults;
}

/** The latent space of a model. */
export interface LatentShape {
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
  | { stage: 'installed'; installedAt: number }
  | { stage: 'failed'; message: string; receivedBytes: number; totalBytes: number };

/** A model as lists and panels show it. */
export interface ModelInfo {
  pack: ModelPack;
  sizeBytes: number;
  /** SHA-256 of the largest file, which names the model in infotexts (A1111's model hash is its start). */
  sha256: string;
  state: ModelState;
  selected: boolean;
}
