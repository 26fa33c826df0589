import type { ErrorData } from './error.ts';
import type { ModelId } from './model.ts';
import type { SamplerChoice } from './sampler.ts';

/** A UUID, drawn by whoever asks for the job. */
export type JobId = string;

/** What the engine can be asked to do. */
export type Job = GenerateJob | UpscaleJob;

/** Jobs that generate with a model. */
export type GenerateJob = TextToImageJob | ImageToImageJob | InpaintJob;

/** How prompts are read: A1111's syntax, ComfyUI's as Fooocus uses it, or as they stand. */
export type PromptSyntax = 'a1111' | 'fooocus' | 'plain';

/** One image of a job: what is its own. */
export interface ImageSpec {
  /** Each text is encoded by itself; the token sequences are joined. One text, except with Fooocus styles. */
  prompt: readonly string[];
  negativePrompt: readonly string[];
  /** 0 … 2^64 − 1; random seeds are drawn before the job is made. */
  seed: bigint;
  subseed: bigint;
}

/** The generator of the initial noise and of the sampler's own noise, and how seeds become noise. */
export interface NoiseSpec {
  /** `torch-cpu`: a torch CPU generator. `philox`: CUDA's generator, A1111's default. */
  source: 'torch-cpu' | 'philox';
  /** The generator of the SDE samplers' Brownian paths, where it is another. */
  brownianSource?: 'torch-cpu' | 'philox';
  /** 0 … 1: how far to go from the seed's noise to the subseed's, on a great circle. */
  subseedStrength: number;
  /** Draw the noise at this size in pixels and place it centred in the real size. */
  resizeFrom?: { width: number; height: number };
  /** Added to the seed of the sampler's own noise (A1111's ENSD). */
  etaNoiseSeedDelta: number;
}

/** Prompt reading options of A1111. */
export interface PromptOptions {
  syntax: PromptSyntax;
  emphasis: 'original' | 'no-norm' | 'ignore' | 'none';
  /** 1 takes the text encoder's last hidden layer. */
  clipSkip: number;
  commaPaddingBacktrack: number;
  /** Those of the installed embeddings that count in prompts read as they stand; in the other syntaxes all do. */
  embeddings?: readonly ModelId[];
}

/** What every generating task has. */
interface Generating {
  model: ModelId;
  /** Images in the order of the answer; they are drawn `batchSize` at a time. */
  images: readonly ImageSpec[];
  batchSize: number;
  /** Pixels of the finished image, a multiple of 8. */
  width: number;
  height: number;
  steps: number;
  guidanceScale: number;
  sampler: SamplerChoice;
  noise: NoiseSpec;
  promptOptions: PromptOptions;
  /** LoRAs besides those the prompts name, by id, for every image. */
  loras?: readonly LoraSpec[];
  /** The id of an installed VAE to use in place of the model's own. */
  vae?: ModelId;
  controls?: readonly ControlSpec[];
  graphs?: GraphSpec;
  output: OutputSpec;
  /** Whether an interrupted batch is decoded as far as it got, as A1111 does, or dropped. */
  keepUnfinished: boolean;
}

/** An image from a text. */
export interface TextToImageJob extends Generating {
  task: 'txt2img';
}

/** An image from another one and a text. */
export interface ImageToImageJob extends Generating {
  task: 'img2img';
  init: InitImage;
}

/** A part of an image generated again. */
export interface InpaintJob extends Generating {
  task: 'inpaint';
  init: InitImage;
  /** An image file, stretched as `init`'s: white where it is generated again, black where it stays. */
  mask: Blob;
}

/** Images upscaled. Needs no model. */
export interface UpscaleJob {
  task: 'upscale';
  /** One for each image of the answer. */
  sources: readonly UpscaleSource[];
  /** `None` leaves the image as it is, whatever else is said. */
  upscaler: UpscalerName;
  /** A second one, laid over the first's image; visible 0 … 1. */
  second?: { upscaler: UpscalerName; visibility: number };
  size: UpscaleSize;
  output: UpscaleOutput;
}

/** An image to be upscaled. */
export interface UpscaleSource {
  /** A PNG, JPEG or WebP file. What is transparent counts as white. */
  image: Blob;
  /** What is known of it; otherwise its own texts are asked. */
  known?: { prompt: string; seed: bigint; infotext: string };
}

/** Upscalers that need no network. */
export const PLAIN_UPSCALERS = ['None', 'Lanczos', 'Nearest'] as const;

/** One of {@link PLAIN_UPSCALERS}, or the id of an installed upscaler. */
export type UpscalerName = (typeof PLAIN_UPSCALERS)[number] | (ModelId & {});

/**
 * How large images become: by a factor; or to cover a size, in which case `crop` cuts off what goes beyond. But for what
 * is cropped, sides are rounded down to multiples of 8, as A1111 does.
 */
export type UpscaleSize = { factor: number } | { width: number; height: number; crop: boolean };

/** How upscaled images are encoded. */
export interface UpscaleOutput extends Pick<OutputSpec, 'format' | 'quality'> {
  /** Whether the files keep the source's texts and say how they were upscaled. */
  texts: boolean;
}

/** Whether it is an upscaler that has to be installed. */
function isNetworkUpscaler(name: UpscalerName): name is ModelId {
  return !PLAIN_UPSCALERS.some((plain) => plain === name);
}

/** The installed upscalers that a job works with. */
export function networkUpscalersOf({ upscaler, second }: UpscaleJob): ModelId[] {
  return [upscaler, ...(second ? [second.upscaler] : [])].filter(isNetworkUpscaler);
}

/** How many images a job makes. */
export function countImages(job: Job): number {
  return job.task === 'upscale' ? job.sources.length : job.images.length;
}

/** The image a run starts from. */
export interface InitImage {
  /** A PNG, JPEG or WebP file; stretched to the job's size. What is transparent counts as white. */
  image: Blob;
  /** 0 … 1: how much of the way back to pure noise. */
  strength: number;
  /** Run all `steps` from there on, instead of `strength` of them. */
  exactSteps?: boolean;
}

/** An image that steers the composition through a ControlNet. */
export interface ControlSpec {
  /** The ControlNet's. */
  id: ModelId;
  /** An image file of what the ControlNet was trained on: edges, depth, a pose. What is transparent counts as black. */
  image: Blob;
  /** How the image is brought to the job's size: stretched, cut to its aspect, or with borders added. */
  fit: 'stretch' | 'cover' | 'contain';
  /** What is done to the image first: nothing, for finished maps; dark lines made light; edges found. */
  preprocessor: ControlPreprocessor;
  /** 1 is what it was trained for. */
  strength: number;
  /** 0 … 1: the part of the run in which it takes part. */
  start: number;
  end: number;
  /** Whom to trust where prompt and image disagree. */
  balance: 'even' | 'prompt' | 'control';
}

export type ControlPreprocessor =
  | { kind: 'none' }
  | { kind: 'invert' }
  /** Gradients beyond `high` are edges, and those beyond `low` that continue one; 100 and 200 as a rule. */
  | { kind: 'canny'; low: number; high: number };

/** How networks are written; only for models around whose weights the engine writes its own graphs. */
export interface GraphSpec {
  /** Images whose opposite borders fit each other. */
  tiling?: boolean;
  /** See engine/architectures/freeu.ts. */
  freeU?: { b1: number; b2: number; s1: number; s2: number; version: 1 | 2 };
  /** 0 … 0.75: the part of the image's tokens that is merged away where there are the most. */
  tokenMerging?: number;
}

/** A LoRA and how much of it: 1 is what it was trained for. */
export interface LoraSpec {
  id: ModelId;
  strength: number;
}

/** How finished images are encoded. */
export interface OutputSpec {
  format: 'png' | 'jpeg' | 'webp';
  /** 0 … 1, for jpeg and webp. */
  quality: number;
  /**
   * Text of each image that describes how it was made, or none. `{engine}` facts (size drawn at, model
   * hash) are appended by the engine to `parameters`; see codecs/infotext.ts.
   */
  metadata: OutputMetadata | null;
  /**
   * Image i's own texts by keyword, in place of an infotext made from `metadata`: the text chunks of a PNG. Of
   * these, `parameters` is the EXIF user comment of other formats and `fooocus_scheme` the EXIF maker note.
   */
  texts?: readonly Readonly<Record<string, string>>[];
}

/** Names for the infotext that only the dialect knows. */
export interface OutputMetadata {
  samplerLabel: string;
  scheduleLabel: string | null;
  /** Further `Key: value` pairs, in order, placed before `Version`. */
  extra: readonly (readonly [string, string])[];
}

/** A finished image. */
export interface GeneratedImage {
  /** Position in the job; removed images leave gaps. */
  index: number;
  blob: Blob;
  width: number;
  height: number;
  seed: bigint;
  subseed: bigint;
  prompt: readonly string[];
  negativePrompt: readonly string[];
  /** A1111's infotext of this image, also when the file carries none. */
  infotext: string;
}

/** What a job made. An interrupted job has the images made so far. */
export interface JobResult {
  images: GeneratedImage[];
  interrupted: boolean;
  /** Seconds of engine work. */
  seconds: number;
  /** What was asked for and had no effect, as sentences: a prompt cut off, a LoRA that is not installed. */
  notes: string[];
}

export type JobStage = 'queued' | 'running' | 'done' | 'failed' | 'cancelled';

/** Progress of a running job. */
export interface JobProgress {
  /** What the engine is doing: `Loading model`, `Sampling` … */
  phase: 'loading' | 'encoding' | 'sampling' | 'decoding' | 'upscaling';
  /** 0 … 1 of the whole job. */
  fraction: number;
  /** Finished images and all images. */
  image: number;
  images: number;
  /** Steps of the current batch; when upscaling, tiles of the current image. */
  step: number;
  steps: number;
  /** Seconds left, once it can be told. */
  secondsLeft: number | null;
}

/**
 * Where a job came from. `requestKey` and `session` let a restarted fetch find the job it already started: the same
 * request, not answered yet, asked by another run of the service worker, while only one runs at a time.
 */
export interface JobOrigin {
  /** `app`, or a dialect's name. */
  client: string;
  requestKey: string | null;
  /** The run of the service worker that asked. */
  session?: string;
  /** What the dialect needs to word later answers: file names, a webhook. Handed back untouched. */
  reply?: Readonly<Record<string, unknown>>;
}

/** A job and all that is known of it; stored, and so surviving tabs and reloads. */
export interface JobRecord {
  id: JobId;
  origin: JobOrigin;
  job: Job;
  stage: JobStage;
  /** Epoch milliseconds; null = not yet. */
  queuedAt: number;
  startedAt: number | null;
  finishedAt: number | null;
  /** How often the job was started; more than once after a lost tab or device. */
  attempts: number;
  progress: JobProgress | null;
  result: JobResult | null;
  error: ErrorData | null;
}

/** What watchers are told. Previews are not part of the record: the newest is asked for with `preview()`. */
export type JobEvent =
  | { type: 'record'; record: JobRecord }
  | { type: 'preview'; id: JobId; blob: Blob }
  | { type: 'removed'; id: JobId };
