import type { ErrorData } from './error.ts';
import type { ModelId } from './model.ts';
import type { SamplerChoice } from './sampler.ts';

/** A UUID, drawn by whoever asks for the job. */
export type JobId = string;

/** What the engine can be asked to do. What each task needs, makes and is called: `protocol/tasks.ts`. */
export type Job = GenerateJob | UpscaleJob;

/** How prompts are read: A1111's syntax, ComfyUI's as Fooocus uses it, or as they stand. */
export type PromptSyntax = 'a1111' | 'fooocus' | 'plain';

/** Pixels. */
export interface Size {
  width: number;
  height: number;
}

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
  resizeFrom?: Size;
  /** Added to the seed of the sampler's own noise (A1111's ENSD). */
  etaNoiseSeedDelta: number;
  /** Times the noise an init image's latents get; 1 by default (A1111's `initial_noise_multiplier`). */
  initialMultiplier?: number;
  /** Noise added to an init image's latents before the run, 0 by default (A1111's `img2img_extra_noise`). */
  extra?: number;
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

/** Images from prompts, and from other images where {@link Init} says so. */
export interface GenerateJob {
  task: 'generate';
  /** Images in the order of the answer; they are generated `batchSize` at a time. */
  images: readonly ImageSpec[];
  batchSize: number;
  /** Where the first pass starts. Text-to-image, image-to-image and inpainting differ only here. */
  init: Init;
  /** In order, each starting from the images of the one before it: hires fix is a second pass. */
  passes: readonly [Pass, ...Pass[]];
  noise: NoiseSpec;
  promptOptions: PromptOptions;
  /** LoRAs besides those the prompts name, by id, for every image. */
  loras?: readonly LoraSpec[];
  controls?: readonly ControlSpec[];
  /** What is done to each finished image, in order. */
  post: readonly PostStep[];
  output: OutputSpec;
  /** Whether an interrupted batch is decoded as far as it got, as A1111 does, or dropped. */
  keepUnfinished: boolean;
  /** What previews are made by: the family's linear map (the default), a TAESD if one is installed, or the VAE. */
  previewBy?: 'map' | 'taesd' | 'vae';
}

/** Where a run starts. */
export type Init = NoiseInit | ImageInit | MaskedInit;

/** Text-to-image. */
export interface NoiseInit {
  from: 'noise';
}

/** Whose way of preparing images, masks and latents is followed; users' images depend on it. */
export type ImageRules = 'a1111' | 'fooocus' | 'diffusers';

/** Image-to-image. The first pass's `strength` says how much of it is left. */
export interface ImageInit {
  from: 'image';
  rules: ImageRules;
  /** PNG, JPEG or WebP files: one for all images of a batch, or one for each. What is transparent counts as white. */
  images: readonly Blob[];
  fit: Fit;
  /** What resizes the init image; by default the resizer of the rules. */
  resizeBy?: UpscalerName;
  /** Give the result the init image's colours (A1111's `img2img_color_correction`). */
  colorCorrection?: boolean;
}

/** Inpainting and outpainting: a part of the init image is generated again. */
export interface MaskedInit extends Omit<ImageInit, 'from'> {
  from: 'masked';
  mask: MaskSource;
  /** Outpainting: pixels added to each side before anything else; they count as masked. */
  expand?: Sides;
  fill: InpaintFill;
  /** Sigma of the Gaussian blur of the mask, in pixels. */
  blur: { x: number; y: number };
  /** Whether a cell of the latent mask is either in or out, or may be in between. */
  round: boolean;
  area: InpaintArea;
  /** Lay what is not masked over the result, so that it stays identical. */
  overlay: boolean;
  /** How much of what is masked is hidden from an inpainting model, 0 … 1; 1 by default (A1111's `inpainting_mask_weight`). */
  hide?: number;
  /** A1111's *Soft inpainting*. */
  soft?: SoftInpainting;
}

/** A1111's `resize_mode` 0 … 3: how an init image is brought to the size of its pass. */
export type Fit = 'stretch' | 'crop' | 'fill' | 'latent';

export type MaskSource =
  | {
      kind: 'image';
      /** White is generated again, black stays. Its alpha channel is the mask where it has one that is not opaque everywhere. */
      mask: Blob;
      invert: boolean;
      /** Applies to the latents only; no overlay (A1111's `latent_mask`). */
      latentOnly?: boolean;
      /** What is filled and what the latents' mask is made of, where that is not the mask; brought to the size of the pass. */
      latentMask?: Blob;
      /** Pixels the mask grows (above 0) or shrinks by, before it is inverted (Fooocus). */
      erodeOrDilate?: number;
    }
  /** Outpainting alone. */
  | { kind: 'none' };

/** What is in the masked area when the run starts; A1111's `inpainting_fill` 0 … 3. */
export type InpaintFill = 'fill' | 'original' | 'latent-noise' | 'latent-nothing';

/**
 * The part of the image that is generated: all of it; the mask and so many pixels around it (A1111's "Only masked",
 * diffusers' `padding_mask_crop`); or Fooocus' respective field, 0 (the mask alone) … 1 (all of it).
 */
export type InpaintArea = 'whole' | { padding: number } | { field: number };

export interface Sides {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** The six sliders of A1111's *Soft inpainting*. */
export interface SoftInpainting {
  scheduleBias: number;
  preservationStrength: number;
  transitionContrastBoost: number;
  maskInfluence: number;
  differenceThreshold: number;
  differenceContrast: number;
}

/** One run of the sampler over all images of the job. */
export interface Pass {
  model: ModelId;
  /** The id of an installed VAE to use in place of the model's own. */
  vae?: ModelId;
  /** A second model that takes over the denoising. */
  refiner?: Refiner;
  /**
   * Pixels of the images this pass makes, multiples of 8. Models that say `sizing: 'trained'` (protocol/model.ts) are run
   * at a size they know, and their images resized to this one.
   */
  size: Size;
  /** What the images of the pass before are resized to, before they are cut to `size` around the centre; by default `size`. */
  resizeTo?: Size;
  /** How they are resized: as pixels by an upscaler (by default Lanczos), or in the latent space. Not for the first pass. */
  resizeBy?: UpscalerName | LatentUpscaleMode;
  steps: number;
  /** 0 … 1: how much of the way back to pure noise a pass goes that starts from an image; 1 for pure noise. */
  strength: number;
  /** Run all `steps` from there on, instead of `strength` of them. */
  exactSteps?: boolean;
  sampler: SamplerChoice;
  guidanceScale: number;
  /** In place of the images' own prompts, one for each image. */
  prompts?: readonly PromptOverride[];
  graph?: GraphOptions;
  /** What SDXL is told of sizes; by default that it generates whole images of the size it runs at. */
  sizeConditioning?: SizeConditioning;
  /** Self-attention guidance (arXiv 2210.00939), as in diffusers' StableDiffusionSAGPipeline. */
  selfAttentionGuidance?: { scale: number };
  /** MultiDiffusion (arXiv 2302.08113), as in diffusers' StableDiffusionPanoramaPipeline. */
  panorama?: { circular: boolean };
}

/** SDXL's micro-conditioning (arXiv 2307.01952, section 2.2). */
export interface SizeConditioning {
  original?: Size;
  /** Where the image's upper left corner was in the original. */
  crop?: { x: number; y: number };
  target?: Size;
}

export interface PromptOverride {
  prompt: readonly string[];
  negativePrompt: readonly string[];
}

export interface Refiner {
  model: ModelId;
  /** 0 … 1: where in the run it takes over. */
  switchAt: number;
  /** `timestep`: by the share of training timesteps gone (A1111). `step`: by the share of steps (Fooocus, diffusers). */
  counts: 'timestep' | 'step';
}

/** A1111's latent upscale modes. */
export const LATENT_UPSCALE_MODES = [
  'Latent',
  'Latent (antialiased)',
  'Latent (bicubic)',
  'Latent (bicubic antialiased)',
  'Latent (nearest)',
  'Latent (nearest-exact)',
] as const;

export type LatentUpscaleMode = (typeof LATENT_UPSCALE_MODES)[number];

/** What is done to a finished image. */
export type PostStep = UpscaleStep;

/** Resizes an image by an upscaling network or a plain resizer. */
export interface UpscaleStep {
  kind: 'upscale';
  /** `None` leaves the image as it is, whatever else is said. */
  upscaler: UpscalerName;
  /** A second one, laid over the first's image; visible 0 … 1. */
  second?: { upscaler: UpscalerName; visibility: number };
  size: UpscaleSize;
}

/** Post steps on images that exist already. Needs no checkpoint. */
export interface UpscaleJob {
  task: 'upscale';
  /** One for each image of the answer. */
  sources: readonly UpscaleSource[];
  post: readonly [PostStep, ...PostStep[]];
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
 * is cropped, sides are rounded down to multiples of 8, as A1111 does. `stretch` is to exactly that size, whatever its aspect.
 */
export type UpscaleSize =
  { factor: number } | { width: number; height: number; crop: boolean; stretch?: boolean };

/** How upscaled images are encoded. */
export interface UpscaleOutput extends Pick<OutputSpec, 'format' | 'quality'> {
  /** Whether the files keep the source's texts and say how they were upscaled. */
  texts: boolean;
}

/** An image that steers the composition through a ControlNet. */
export interface ControlSpec {
  /** The ControlNet's. */
  id: ModelId;
  /**
   * An image file of what the ControlNet was trained on, or what the preprocessor makes it of. What is transparent counts as
   * black. By default the init image.
   */
  image?: Blob;
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
  /** 0 … 1, 0 by default: how much less it counts the shallower it acts (Fooocus' `controlnet_softness`). */
  softness?: number;
}

export type ControlPreprocessor =
  | { kind: 'none' }
  | { kind: 'invert' }
  /** Gradients beyond `high` are edges, and those beyond `low` that continue one; 100 and 200 as a rule. */
  | { kind: 'canny'; low: number; high: number }
  /**
   * One of imaging/controlnet/preprocessors.ts by its name there, run on the image as it comes, before it is brought to size:
   * with its shorter side at so many pixels, and with the sliders of the ControlNet extension.
   */
  | { kind: 'module'; name: string; resolution: number; thresholdA: number; thresholdB: number }
  /** Hides the masked part of the init image, as ControlNets for inpainting want it. */
  | { kind: 'inpaint' }
  /**
   * Fooocus' way: all of the image is cut to the size of the pass, and its map is made there: PyraCanny's edges, between two
   * thresholds as canny's, or CPDS' contrasts. Null leaves it as it is.
   */
  | { kind: 'fooocus'; map: 'PyraCanny' | 'CPDS' | null; low: number; high: number };

/** How networks are written; only for models around whose weights the engine writes its own graphs. */
export interface GraphOptions {
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
  /** By-products of inpainting to hand over beside each image. */
  masks?: readonly MaskArtifact['role'][];
}

/** Names for the infotext that only the dialect knows. */
export interface OutputMetadata {
  samplerLabel: string;
  scheduleLabel: string | null;
  /** Further `Key: value` pairs, in order, placed before `Version`. */
  extra: readonly (readonly [string, string])[];
}

/** A finished image; its file is kept apart, see {@link StoredImage}. */
export interface GeneratedImage {
  /** Position in the job; removed images leave gaps. */
  index: number;
  width: number;
  height: number;
  seed: bigint;
  subseed: bigint;
  prompt: readonly string[];
  negativePrompt: readonly string[];
  /** A1111's infotext of this image, also when the file carries none. */
  infotext: string;
}

/** One thing a job made. */
export type Artifact = ImageArtifact | MaskArtifact;

export interface ImageArtifact {
  kind: 'image';
  image: GeneratedImage;
}

/** A by-product of image `of`: the mask, or the result where it is masked and transparent elsewhere. */
export interface MaskArtifact {
  kind: 'mask';
  of: number;
  role: 'mask' | 'composite';
  blob: Blob;
}

/** What a job made. An interrupted job has what was made so far. */
export interface JobResult {
  artifacts: readonly Artifact[];
  interrupted: boolean;
  /** Seconds of engine work. */
  seconds: number;
  /** What was asked for and had no effect, as sentences: a prompt cut off, a LoRA that does not fit. */
  notes: readonly string[];
}

/** The finished images of a job, in order. */
export function imagesOf(result: JobResult | null): GeneratedImage[] {
  return (result?.artifacts ?? []).flatMap((artifact) => (artifact.kind === 'image' ? [artifact.image] : []));
}

/** `<job id>/<index>`. */
export type ImageId = string;

/** A finished image with its file, as it is stored; what galleries show. Its job may be asked for by `jobId`. */
export interface StoredImage {
  id: ImageId;
  jobId: JobId;
  /** Position in the job. */
  index: number;
  /** See {@link JobOrigin}. */
  client: string;
  /** Epoch milliseconds. */
  createdAt: number;
  blob: Blob;
  width: number;
  height: number;
  /** Decimal digits. */
  seed: string;
  /** What it shows: its own prompt, or that of the image it was made from. */
  prompt: string;
  infotext: string;
}

/** The id under which image `index` of a job is stored. */
export function imageIdOf(jobId: JobId, index: number): ImageId {
  return `${jobId}/${index}`;
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
  /** Which pass of the current batch runs, from 0, and how many there are. */
  pass: number;
  passes: number;
  /** Steps of the current pass; when upscaling, tiles of the current image. */
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
