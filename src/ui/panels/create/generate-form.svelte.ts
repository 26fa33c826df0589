import { describeUnit } from '#codecs/infotext-control.ts';
import { AppError } from '#protocol/error.ts';
import type { ControlSpec, GenerateJob, ImageSpec } from '#protocol/job.ts';
import type { AddOnInfo, AddOnKind, AddOnPack, ModelId, ModelInfo, ModelPack } from '#protocol/model.ts';
import type { KDiffusionSampler } from '#protocol/sampler.ts';
import { mentionPattern, promptText } from '#ui/state/packs.ts';
import { samplers, schedules, type SamplerOption, type ScheduleOption } from './samplers.ts';

const LARGEST_SEED = 2n ** 64n - 1n;
const FIRST_SAMPLER: SamplerOption = {
  id: 'euler',
  label: 'Euler',
  automaticSchedule: 'Automatic',
  note: '',
};

/** What the reader has set, and the job it makes. */
export class GenerateForm {
  prompt = $state('');
  negativePrompt = $state('');
  width = $state(512);
  height = $state(512);
  steps = $state(20);
  guidanceScale = $state(7);
  samplerId = $state('dpmpp_2m');
  scheduleId = $state('automatic');
  /** The id of a VAE to use in place of the model's own, or empty. */
  vae = $state('');
  /** Images that steer the composition, with the ControlNets that read them. */
  controls = $state<ControlSpec[]>([]);
  /** Whether opposite borders are to fit each other. */
  tiling = $state(false);
  /** Decimal digits, or empty for a new seed each time. */
  seed = $state('');
  batchCount = $state(1);
  batchSize = $state(1);
  #filledFor: ModelId | null = null;

  readonly sampler: SamplerOption = $derived(
    samplers.find(({ id }) => id === this.samplerId) ?? samplers[0] ?? FIRST_SAMPLER,
  );
  readonly schedule: ScheduleOption | null = $derived(
    schedules.find(({ id }) => id === this.scheduleId) ?? null,
  );
  readonly seedIsValid = $derived(
    this.seed === '' || (/^\d{1,20}$/.test(this.seed) && BigInt(this.seed) <= LARGEST_SEED),
  );

  /** Takes a model's own values, once for each model. */
  takeDefaults(pack: ModelPack): void {
    if (this.#filledFor === pack.id) return;
    this.#filledFor = pack.id;
    const { width, height, steps, guidanceScale, sampler, schedule } = pack.defaults;
    this.width = width;
    this.height = height;
    this.steps = steps;
    this.guidanceScale = guidanceScale;
    this.samplerId = sampler;
    this.scheduleId = schedule;
  }

  /** Names an add-on at the end of the prompt, unless it is named there already. */
  mention(addOn: AddOnPack): void {
    const text = promptText(addOn);
    if (text !== null && !mentionPattern(addOn).test(this.prompt))
      this.prompt = `${this.prompt.trimEnd()} ${text}`.trimStart();
  }

  /** Takes an add-on out of the prompt. */
  unmention(addOn: AddOnPack): void {
    this.prompt = this.prompt.replace(mentionPattern(addOn), '').replaceAll(/ {2,}/g, ' ').trim();
  }

  /** The sampler as the engine is told of it. */
  samplerChoice(): KDiffusionSampler {
    return { family: 'k-diffusion', sampler: this.samplerId, schedule: this.scheduleId, options: {} };
  }

  /**
   * The job, with its seeds drawn: image i has seed + i, and noise is drawn as A1111 draws it.
   * @param addOns those that go with the model; a VAE or ControlNets chosen for another one are left out
   * @throws AppError `invalid_request` when there is no prompt or the seed is no 64-bit number
   */
  toJob(model: ModelInfo, addOns: readonly AddOnInfo[]): GenerateJob {
    const prompt = this.prompt.trim();
    if (prompt === '') throw new AppError('invalid_request', 'Say what to generate first.');
    if (!this.seedIsValid) {
      throw new AppError('invalid_request', `A seed is a whole number from 0 to ${LARGEST_SEED.toString()}.`);
    }
    const goesAlong = (kind: AddOnKind, id: ModelId) =>
      addOns.some(({ pack }) => pack.kind === kind && pack.id === id);
    const hashOf = (id: ModelId) =>
      addOns.find(({ pack }) => pack.kind === 'controlnet' && pack.id === id)?.sha256 ?? '';
    const isOwnGraph = model.pack.weights === 'safetensors';
    const controls = isOwnGraph ? this.controls.filter(({ id }) => goesAlong('controlnet', id)) : [];
    const firstSeed = this.seed === '' ? randomSeed() : BigInt(this.seed);
    const images = Array.from({ length: this.batchCount * this.batchSize }, (_, index): ImageSpec => ({
      prompt: [prompt],
      negativePrompt: [this.negativePrompt.trim()],
      seed: BigInt.asUintN(64, firstSeed + BigInt(index)),
      subseed: 0n,
    }));
    return {
      task: 'generate',
      images,
      batchSize: this.batchSize,
      init: { from: 'noise' },
      passes: [
        {
          model: model.pack.id,
          ...(goesAlong('vae', this.vae) && { vae: this.vae }),
          size: { width: this.width, height: this.height },
          steps: this.steps,
          strength: 1,
          sampler: this.samplerChoice(),
          guidanceScale: this.guidanceScale,
          ...(isOwnGraph && this.tiling && { graph: { tiling: true } }),
        },
      ],
      noise: { source: 'philox', subseedStrength: 0, etaNoiseSeedDelta: 0 },
      promptOptions: { syntax: 'a1111', emphasis: 'original', clipSkip: 1, commaPaddingBacktrack: 20 },
      ...(controls.length > 0 && { controls: controls.map(plainControl) }),
      post: [],
      keepUnfinished: false,
      output: {
        format: 'png',
        quality: 1,
        metadata: {
          samplerLabel: this.sampler.label,
          scheduleLabel:
            this.scheduleId === 'automatic' ? this.sampler.automaticSchedule : (this.schedule?.label ?? null),
          extra: controls.map((control, index) => [
            `ControlNet ${index}`,
            describeUnit(control, hashOf(control.id)),
          ]),
        },
      },
    };
  }

  /**
   * Takes everything from a finished image, so that generating again gives the same one.
   * @param model what it will be generated with, whose own values are not to replace these
   */
  fill(job: GenerateJob, index: number, model: ModelId | null): void {
    const image = job.images[index];
    if (!image) return;
    const { vae, size, steps, sampler, guidanceScale, graph } = job.passes[0];
    this.#filledFor = model;
    this.prompt = image.prompt.join('\n');
    this.negativePrompt = image.negativePrompt.join('\n');
    this.seed = image.seed.toString();
    this.width = size.width;
    this.height = size.height;
    this.steps = steps;
    this.guidanceScale = guidanceScale;
    this.vae = vae ?? '';
    this.controls = (job.controls ?? []).map(plainControl);
    this.tiling = graph?.tiling ?? false;
    this.batchCount = 1;
    this.batchSize = 1;
    if (sampler.family === 'k-diffusion') {
      this.samplerId = sampler.sampler;
      this.scheduleId = sampler.schedule;
    }
  }
}

/** A control without what makes it reactive, which does not go to another thread. */
function plainControl({ preprocessor, ...control }: ControlSpec): ControlSpec {
  return { ...control, preprocessor: { ...preprocessor } };
}

/** 32 random bits, as A1111 draws them: short enough to be read aloud. */
function randomSeed(): bigint {
  const [bits = 0] = crypto.getRandomValues(new Uint32Array(1));
  return BigInt(bits);
}
