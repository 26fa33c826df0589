import type { AddOnKind, Licence, ModelDefaults, ModelFamily, ModelId } from './model.ts';

/** Where something to import is. */
export type ImportSource =
  /** From the user's disk; paths are relative to what was dropped. */
  | { from: 'files'; files: readonly { path: string; file: File }[] }
  /** A file, or a repository of the Hugging Face hub. */
  | { from: 'url'; url: string };

/**
 * How weights are stored: unchanged, or quantised, linear layers in blocks of 8 or 4 bits and convolutions in 8. See
 * weights/quantise.ts.
 */
export type WeightStorage = 'exact' | 'int8' | 'int4';

/** What one way of keeping it costs. */
export interface StorageOption {
  storage: WeightStorage;
  /** On disk, all files. */
  sizeBytes: number;
  /** Of memory while it runs, about. */
  memoryBytes: number;
}

/** What is known of something before any of it is stored, from headers and listings alone. */
export interface ImportOffer {
  /** The name it would have here. */
  id: ModelId;
  title: string;
  kind: 'model' | AddOnKind | 'unknown';
  family: ModelFamily | 'other' | null;
  format: 'safetensors' | 'onnx' | 'torch' | 'unknown';
  /** A sentence for people: what it is, such as “SDXL checkpoint, float16, 2.6 billion parameters”. */
  summary: string;
  /** Element type of most of its numbers, such as `float16`. */
  type: string | null;
  parameters: number | null;
  files: readonly { path: string; sizeBytes: number; sha256: string | null }[];
  /** Smallest change first; more than one where it can be quantised. Empty if there is a problem. */
  options: readonly StorageOption[];
  /** What the network predicts, for models; `certain` is false where the file does not say and it was guessed. */
  prediction: { type: 'epsilon' | 'v_prediction'; certain: boolean } | null;
  licence: Licence;
  /** Sentences the user should read before going on. */
  warnings: readonly string[];
  /** Why it cannot be imported; null if it can. */
  problem: string | null;
}

/** What the user chose from an offer. */
export interface ImportChoice {
  storage: WeightStorage;
  prediction?: 'epsilon' | 'v_prediction';
}

/** A well-known model that can be had with one click. */
export interface CatalogueEntry {
  id: string;
  title: string;
  /** What it is good for, a sentence. */
  goodFor: string;
  kind: 'model' | AddOnKind;
  /** Null where any takes it. */
  family: ModelFamily | null;
  url: string;
  /** To download, about. */
  sizeBytes: number;
  /** While it runs, about; null where it is unknown. */
  memoryBytes: number | null;
  /** What a model is run with unless something else is chosen; null for add-ons. */
  values: Pick<ModelDefaults, 'steps' | 'guidanceScale'> | null;
  licence: Licence;
  /** Whose work it is. */
  credits: string;
  /** Whether it only runs where the GPU has `shader-f16`. */
  needsFloat16: boolean;
}
