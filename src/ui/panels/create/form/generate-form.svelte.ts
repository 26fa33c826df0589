import type { CaptionExtent } from '#protocol/describer.ts';
import type {
  ControlSpec,
  Fit,
  GenerateJob,
  ImagePromptSpec,
  InpaintFill,
  JobId,
  LatentUpscaleMode,
  Sides,
  Size,
  UpscalerName,
} from '#protocol/job.ts';
import type { AddOnPack, ModelId, ModelPack } from '#protocol/model.ts';
import type { KDiffusionSampler } from '#protocol/sampler.ts';
import { MaskEditor } from '#ui/panels/create/editor/mask-editor.svelte.ts';
import type { EditOperation } from '#ui/panels/create/editor/layers.ts';
import { loraTag, mentionPattern, promptText } from '#ui/state/packs.ts';
import type { Example } from './example-prompts.ts';
import { modes, type Mode } from './modes.ts';
import { samplers, schedules, type SamplerOption, type ScheduleOption } from './samplers.ts';
import { fitArea } from './shapes.ts';
import type { SourceImage } from './source-image.ts';
import type { Switchable } from './switchable.ts';

export const LARGEST_SEED = 2n ** 64n - 1n;

/** As A1111's page writes a random seed. */
const RANDOM_SEED = '-1';

/** How much larger than the model's own size an edited image is generated as a whole. */
const LARGEST_EDIT = 2.25;

const FIRST_SAMPLER: SamplerOption = {
  id: 'euler',
  label: 'Euler',
  automaticSchedule: 'Automatic',
  note: '',
};

/** A second, larger pass. */
export interface HiresSettings extends Switchable {
  scale: number;
  resizeBy: UpscalerName | LatentUpscaleMode;
  /** 0 takes those of the first pass. */
  steps: number;
  strength: number;
}

/** A second checkpoint for the last steps. */
export interface RefinerSettings extends Switchable {
  model: ModelId;
  switchAt: number;
}

/** What repairs the faces of finished images. */
export interface FacesSettings extends Switchable {
  /** The id of an installed network, or empty for the built-in one. */
  restorer: ModelId;
  visibility: number;
  /** CodeFormer's. */
  weight: number;
}

/** How the masked part of an image is generated. */
export interface EditSettings {
  expand: Sides;
  /** `auto` fills what is added around an image, and keeps what is there otherwise. */
  fill: InpaintFill | 'auto';
  area: 'whole' | 'masked';
  /** Pixels around the mask, where `area` is `masked`. */
  padding: number;
  /** Pixels. */
  blur: number;
}

/** What edits start from. */
export const EDIT_DEFAULTS: Readonly<Omit<EditSettings, 'expand'>> = {
  fill: 'auto',
  area: 'whole',
  padding: 32,
  blur: 4,
};

/** An axis of an X/Y/Z plot, as it is typed. */
export interface PlotAxisDraft {
  /** A1111's label: `CFG Scale`. */
  axis: string;
  /** Its values as A1111 reads them: `1-10 [5]`. */
  text: string;
}

/** The axes of an X/Y/Z plot. */
export type PlotDraft = Record<'x' | 'y' | 'z', PlotAxisDraft>;

/** The values of a form that are stored unchanged; see draft.ts. */
export const PLAIN_FIELDS = [
  'mode',
  'prompt',
  'negativePrompt',
  'styles',
  'lorasOff',
  'width',
  'height',
  'steps',
  'guidanceScale',
  'samplerId',
  'scheduleId',
  'vae',
  'tiling',
  'tileSize',
  'deepCache',
  'seed',
  'count',
  'batchSize',
  'strength',
  'fit',
  'hires',
  'refiner',
  'faces',
  'edit',
  'upscale',
  'describe',
  'plot',
  'filledFor',
] as const satisfies readonly (keyof GenerateForm)[];

/** How an image is described. */
interface DescribeSettings {
  /** Empty leaves the choice to the app. */
  describer: ModelId;
  /** Of caption models that have a choice. */
  extent: CaptionExtent;
}

/** What the reader has set. generate-job.ts and upscale-job.ts make jobs of it. */
export class GenerateForm {
  mode = $state<Mode>('text');
  prompt = $state('');
  negativePrompt = $state('');
  /** Names of the styles that are applied to the prompts, in order. */
  styles = $state<string[]>([]);
  width = $state(512);
  height = $state(512);
  steps = $state(20);
  guidanceScale = $state(7);
  samplerId = $state('dpmpp_2m');
  scheduleId = $state('automatic');
  /** The id of a VAE to use instead of the model's own, or empty. */
  vae = $state('');
  /** Images that steer the composition, with the ControlNets they go to. */
  controls = $state<ControlDraft[]>([]);
  /** Images that the model is shown beside the prompt; which CLIP vision model looks at them is found for each job. */
  imagePrompts = $state<ImagePromptDraft[]>([]);
  /** The LoRAs that are left out for a while, so that the prompt does not name them. */
  lorasOff = $state<LoraOff[]>([]);
  /** Whether the image is seamless: opposite borders fit each other. */
  tiling = $state(false);
  /** Pixels of the tiles that images are generated in; 0 generates them in one piece. */
  tileSize = $state(0);
  /** DeepCache's interval: the whole UNet runs once in so many steps. */
  deepCache = $state(1);
  /** Decimal digits; empty or −1 for a random one. */
  seed = $state('');
  /** Images of one job; for each init image, where there are several. */
  count = $state(1);
  batchSize = $state(1);
  /** Denoising strength from an init image. */
  strength = $state(0.6);
  fit = $state<Fit>('crop');
  hires = $state<HiresSettings | null>(null);
  refiner = $state<RefinerSettings | null>(null);
  faces = $state<FacesSettings | null>(null);
  edit = $state<EditSettings>(freshEdit());
  /** An empty upscaler leaves the choice to the app. */
  upscale = $state({ factor: 2, upscaler: '' });
  describe = $state<DescribeSettings>({ describer: '', extent: 'sentence' });
  plot = $state<PlotDraft>(freshPlot());
  /** The job that describes an image, and which one it is. */
  describing = $state.raw<{ job: JobId; source: string } | null>(null);
  /** The model whose own values have been taken. */
  filledFor = $state<ModelId | null>(null);

  #sources = $state.raw<readonly SourceImage[]>([]);
  /** Of the first source, while there is one. */
  #editor = $state.raw<MaskEditor | null>(null);
  /** Whether the stage shows the editor instead of results. */
  showsEditor = $state(true);

  readonly sampler: SamplerOption = $derived(
    samplers.find(({ id }) => id === this.samplerId) ?? samplers[0] ?? FIRST_SAMPLER,
  );
  readonly schedule: ScheduleOption | null = $derived(
    schedules.find(({ id }) => id === this.scheduleId) ?? null,
  );
  readonly hasRandomSeed = $derived(this.seed === '' || this.seed === RANDOM_SEED);
  readonly seedIsValid = $derived(
    this.hasRandomSeed || (/^\d{1,20}$/.test(this.seed) && BigInt(this.seed) <= LARGEST_SEED),
  );
  /** Whether images are generated at their own size. */
  readonly keepsSize = $derived(this.mode === 'edit' && this.edit.area === 'whole');

  /** The images that are the input of every mode that takes any. */
  get sources(): readonly SourceImage[] {
    return this.#sources;
  }

  /** Takes other images for input; a mask belongs to the image it was made on. */
  set sources(sources: readonly SourceImage[]) {
    this.#sources = sources;
    const [first] = sources;
    if (first?.id !== this.#editor?.source.id) {
      this.#editor = first ? new MaskEditor(first) : null;
      this.edit.expand = noSides();
    }
    this.showsEditor = true;
  }

  /** Takes back images from an earlier visit, with the first one's mask and layers. */
  restoreSources(sources: readonly SourceImage[], edits: readonly EditOperation[]): void {
    const [first] = sources;
    this.#sources = sources;
    this.#editor = first ? new MaskEditor(first, edits) : null;
  }

  /** The mask of the first source, and the layers on it. */
  get editor(): MaskEditor | null {
    return this.#editor;
  }

  /** Starts from images in a mode; in one that takes none, the next. */
  startFrom(sources: readonly SourceImage[], mode: Mode): void {
    this.sources = sources;
    this.mode = modes[mode].well === null ? 'image' : mode;
  }

  /** Takes a model's own values, once for each model. */
  takeDefaults(pack: ModelPack): void {
    if (this.filledFor === pack.id) return;
    this.resetTo(pack);
  }

  /** Sets sizes, steps, guidance, sampler and schedule to a model's own. */
  resetTo(pack: ModelPack): void {
    this.filledFor = pack.id;
    const { width, height, steps, guidanceScale, sampler, schedule } = pack.defaults;
    this.width = width;
    this.height = height;
    this.steps = steps;
    this.guidanceScale = guidanceScale;
    this.samplerId = sampler;
    this.scheduleId = schedule;
    this.vae = '';
    this.tiling = false;
    this.tileSize = 0;
    this.deepCache = 1;
    this.batchSize = 1;
  }

  /** Sets how edits are generated to what is usual; the frame stays as it is. */
  resetEdit(): void {
    this.edit = { ...freshEdit(), expand: this.edit.expand };
  }

  /** Pixels of the images of the first pass. */
  sizeFor(pack: ModelPack): Size {
    const [source] = this.#sources;
    if (!this.keepsSize || !source) return { width: this.width, height: this.height };
    const { left, top, right, bottom } = this.edit.expand;
    const { width, height } = pack.defaults;
    const whole = { width: source.width + left + right, height: source.height + top + bottom };
    return fitArea(whole, LARGEST_EDIT * width * height);
  }

  /** Names an add-on at the end of the prompt, unless it is named there already. */
  mention(addOn: AddOnPack): void {
    const text = promptText(addOn);
    if (text !== null && !mentionPattern(addOn).test(this.prompt)) this.#append(text);
  }

  #append(text: string): void {
    this.prompt = `${this.prompt.trimEnd()} ${text}`.trimStart();
  }

  /** Takes an add-on out of the prompt. */
  unmention(addOn: AddOnPack): void {
    this.prompt = this.prompt.replace(mentionPattern(addOn), '').replaceAll(/ {2,}/g, ' ').trim();
  }

  /** The strength at which the prompt names a LoRA; null where it does not. */
  loraStrength(lora: AddOnPack): number | null {
    const found = mentionPattern(lora).exec(this.prompt)?.[0];
    if (found === undefined) return null;
    const strength = Number.parseFloat(/:([^:>]*)>$/.exec(found)?.[1] ?? '');
    return Number.isNaN(strength) ? 1 : strength;
  }

  /** Changes the strength at which the prompt names a LoRA, or that it has when it is taken in again. */
  setLoraStrength(lora: AddOnPack, strength: number): void {
    const off = this.loraOff(lora);
    if (off) off.strength = strength;
    else this.prompt = this.prompt.replace(mentionPattern(lora), loraTag(lora.id, strength));
  }

  /** A LoRA that is left out for a while; null for one that the prompt names, or that is not added. */
  loraOff(lora: AddOnPack): LoraOff | null {
    if (mentionPattern(lora).test(this.prompt)) return null;
    return this.lorasOff.find(({ id }) => id === lora.id) ?? null;
  }

  /** Leaves a LoRA out, or takes it in again at the strength it had. */
  setLoraOn(lora: AddOnPack, on: boolean): void {
    const strength = this.loraStrength(lora) ?? this.loraOff(lora)?.strength ?? 1;
    this.removeLora(lora);
    if (on) this.#append(loraTag(lora.id, strength));
    else this.lorasOff.push({ id: lora.id, strength });
  }

  /** Takes a LoRA away, also one that is left out. */
  removeLora(lora: AddOnPack): void {
    this.unmention(lora);
    this.lorasOff = this.lorasOff.filter(({ id }) => id !== lora.id);
  }

  /** Takes a prompt with the seed it looks good with. */
  takeExample({ prompt, seed }: Example): void {
    this.prompt = prompt;
    this.seed = seed;
  }

  /** A form of its own that asks for the same. Its input is that of this one. */
  copy(): GenerateForm {
    const copy = new GenerateForm();
    Object.assign(copy, $state.snapshot(Object.fromEntries(PLAIN_FIELDS.map((name) => [name, this[name]]))));
    copy.controls = this.controls.map(plainControl);
    copy.imagePrompts = this.imagePrompts.map((prompt) => ({ ...prompt }));
    copy.#sources = this.#sources;
    copy.#editor = this.#editor;
    return copy;
  }

  /** The sampler in the engine's terms. */
  samplerChoice(): KDiffusionSampler {
    return { family: 'k-diffusion', sampler: this.samplerId, schedule: this.scheduleId, options: {} };
  }

  /**
   * Takes everything from a finished image but what it was made from, so that generating again gives the same one.
   * @param model what it will be generated with, whose own values are not to replace these
   */
  fill(job: GenerateJob, index: number, model: ModelId | null): void {
    const image = job.images[index];
    if (!image) return;
    const [first, second] = job.passes;
    const { vae, size, steps, strength, sampler, guidanceScale, graph, tiles, refiner } = first;
    this.filledFor = model;
    this.prompt = image.prompt.join('\n');
    this.negativePrompt = image.negativePrompt.join('\n');
    // They are in the prompts already.
    this.styles = [];
    this.lorasOff = [];
    this.seed = image.seed.toString();
    this.width = size.width;
    this.height = size.height;
    this.steps = steps;
    this.guidanceScale = guidanceScale;
    this.vae = vae ?? '';
    this.controls = (job.controls ?? []).map(plainControl);
    this.imagePrompts = (job.imagePrompts ?? []).map((prompt) => ({ ...prompt }));
    this.tiling = graph?.tiling ?? false;
    this.tileSize = tiles?.size ?? 0;
    this.deepCache = graph?.deepCache ?? 1;
    this.refiner = refiner ? { model: refiner.model, switchAt: refiner.switchAt } : null;
    this.hires = second
      ? {
          scale: Math.round((second.size.width / size.width) * 100) / 100,
          resizeBy: second.resizeBy ?? 'Lanczos',
          steps: second.steps,
          strength: second.strength,
        }
      : null;
    this.count = 1;
    this.batchSize = 1;
    if (job.init.from === 'noise') this.mode = 'text';
    else this.strength = strength;
    if (sampler.family === 'k-diffusion') {
      this.samplerId = sampler.sampler;
      this.scheduleId = sampler.schedule;
    }
  }
}

/** An image prompt whose CLIP vision model follows from its IP-Adapter. */
export type ImagePromptDraft = Omit<ImagePromptSpec, 'clipVision'> & Switchable;

/** A control image of the form. */
export type ControlDraft = ControlSpec & Switchable;

/** A LoRA that is left out for a while, with the strength it had. */
export interface LoraOff {
  id: ModelId;
  strength: number;
}

/** A control without what makes it reactive, which does not go to another thread. */
export function plainControl({ preprocessor, ...control }: ControlDraft): ControlDraft {
  return { ...control, preprocessor: { ...preprocessor } };
}

function noSides(): Sides {
  return { left: 0, top: 0, right: 0, bottom: 0 };
}

function freshPlot(): PlotDraft {
  const nothing = () => ({ axis: 'Nothing', text: '' });
  return { x: nothing(), y: nothing(), z: nothing() };
}

function freshEdit(): EditSettings {
  return { expand: noSides(), ...EDIT_DEFAULTS };
}
