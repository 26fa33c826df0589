import { encodePng, decodePng } from '#codecs/png.ts';
import type { EngineThread } from '#host/engine-process.ts';
import type { EngineEvent, EngineWorker, RunOutcome } from '#protocol/engine-worker.ts';
import type { AppError } from '#protocol/error.ts';
import type {
  DescribeJob,
  FindMaskJob,
  GenerateJob,
  JobProgress,
  MaskArtifact,
  Preview,
  Size,
  TextArtifact,
  UpscaleJob,
  UpscaleSize,
} from '#protocol/job.ts';
import { expose } from 'comlink';

type FakeJob = GenerateJob | UpscaleJob | DescribeJob | FindMaskJob;

export interface FakeEngineOptions {
  /** Milliseconds per step; 0 generates at once. */
  stepMs?: number;
  /** Milliseconds per upscaled image; `stepMs` unless given. */
  tileMs?: number;
  /** Thrown in place of an image: always, or for some jobs. */
  failure?: AppError | ((job: FakeJob) => AppError | undefined);
  /** What the run notes. */
  notes?: readonly string[];
  /** Pixels of upscaled images; else as the job says, of PNG sources. */
  upscaledSize?: Size;
}

/** The colour a seed is generated in. */
export function colourOf(seed: bigint): [number, number, number] {
  return [Number(seed & 255n), Number((seed >> 8n) & 255n), Number((seed >> 16n) & 255n)];
}

/**
 * An engine that generates each image in the one colour of its seed and goes through steps, previews, cancels and skips
 * like the real one. It is started as the host's worker, on the other end of a message channel.
 */
export class FakeEngine implements EngineWorker {
  /** Every job that was started to generate, in order. */
  readonly generated: GenerateJob[] = [];
  /** Every job that was started to upscale. */
  readonly upscaled: UpscaleJob[] = [];
  readonly #options: FakeEngineOptions;
  #isCancelled = false;
  #isSkipped = false;

  constructor(options: FakeEngineOptions = {}) {
    this.#options = options;
  }

  /** The engine as a worker's thread. */
  startThread(): EngineThread {
    const { port1, port2 } = new MessageChannel();
    expose(this, port2);
    return Object.assign(port1, { terminate: () => port1.close() });
  }

  start() {
    return Promise.resolve({
      provider: 'wasm',
      build: 'wasm',
      description: 'the tests’ engine',
      float16: false,
    } as const);
  }

  load(): Promise<void> {
    return Promise.resolve();
  }

  async run(
    _installed: unknown,
    job: FakeJob,
    onEvent: (event: EngineEvent) => unknown,
  ): Promise<RunOutcome> {
    this.#isCancelled = false;
    if (job.task === 'upscale') this.upscaled.push(job);
    else if (job.task === 'generate') this.generated.push(job);
    const { failure } = this.#options;
    const error = typeof failure === 'function' ? failure(job) : failure;
    if (error) throw error;
    const told: unknown[] = [];
    const tell = (event: EngineEvent) => void told.push(onEvent(event));
    if (job.task === 'upscale') await this.#upscale(job, tell);
    else if (job.task === 'generate') await this.#generate(job, tell);
    else if (job.task === 'find-mask') tell({ type: 'by-product', artifact: await maskOf(job) });
    else tell({ type: 'by-product', artifact: describedAs(job) });
    // Events go another way than the end of the run, which is not to overtake them.
    await Promise.all(told);
    return { interrupted: this.#isCancelled, notes: this.#options.notes ?? [] };
  }

  cancel(): void {
    this.#isCancelled = true;
  }

  skip(): void {
    this.#isSkipped = true;
  }

  unload(): Promise<void> {
    return Promise.resolve();
  }

  /** Of a CPU with a few cores. */
  measureSpeed(): Promise<number> {
    return Promise.resolve(40e9);
  }

  /** A straight line in the logarithm of sigma. */
  samplingPlan(...[, choice, steps]: Parameters<EngineWorker['samplingPlan']>) {
    const sampler = choice.family === 'k-diffusion' ? choice.sampler : choice.scheduler;
    const [highest, lowest] = [14.6, 0.03];
    const sigmas = Array.from(
      { length: steps },
      (_, i) => highest * (lowest / highest) ** (i / Math.max(steps - 1, 1)),
    );
    return Promise.resolve({
      sigmas: [...sigmas, 0],
      timesteps: sigmas.map((_, i) => Math.round(999 * (1 - i / steps))),
      evaluations: sampler === 'heun' ? 2 * steps - 1 : steps,
      deterministic: !/ancestral|sde|lcm/.test(sampler),
    });
  }

  /** A token a word. */
  countTokens(...[, , { prompt, negativePrompt }]: Parameters<EngineWorker['countTokens']>) {
    const count = (text: string) => {
      const tokens = text.match(/\S+/g)?.length ?? 0;
      return { tokens, length: Math.max(1, Math.ceil(tokens / 75)) * 75 };
    };
    return Promise.resolve({ prompt: count(prompt), negativePrompt: count(negativePrompt) });
  }

  async #generate(job: GenerateJob, onEvent: (event: EngineEvent) => void): Promise<void> {
    const { images, batchSize, passes, output, keepUnfinished } = job;
    const { size, guidanceScale } = passes.at(-1) ?? passes[0];
    const stepsOfAll = passes.reduce((sum, { steps }) => sum + steps, 0);
    for (let first = 0; first < images.length && !this.#hasEnded(); first += batchSize) {
      this.#isSkipped = false;
      const batch = images.slice(first, first + batchSize);
      let done = 0;
      for (const [pass, { steps }] of passes.entries()) {
        for (let step = 1; step <= steps && !this.#isStopped(); step++) {
          await pause(this.#options.stepMs);
          const fraction = (first + (++done / stepsOfAll) * batch.length) / images.length;
          const counts = { image: first, images: images.length, pass, passes: passes.length, step, steps };
          onEvent({ type: 'progress', progress: progressOf('sampling', fraction, counts) });
          onEvent({ type: 'preview', preview: flatPreview(8, [step, 0, 0]) });
        }
      }
      if (this.#hasEnded() && !keepUnfinished) break;
      batch.forEach((image, offset) => {
        const index = first + offset;
        const infotext = `${image.prompt.join(' ')}\nSteps: ${stepsOfAll}, CFG scale: ${guidanceScale}, Seed: ${image.seed}, Size: ${size.width}x${size.height}`;
        const text = output.texts?.[index] ?? (output.metadata ? { parameters: infotext } : {});
        onEvent({
          type: 'artifact',
          artifact: { kind: 'image', image: { ...image, ...size, index, infotext } },
          file: flatPng(size, colourOf(image.seed), text),
        });
      });
    }
  }

  async #upscale({ sources, post }: UpscaleJob, onEvent: (event: EngineEvent) => void): Promise<void> {
    this.#isSkipped = false;
    for (const [index, { image, known }] of sources.entries()) {
      const counts = { image: index, images: sources.length, pass: 0, passes: 1, step: 1, steps: 2 };
      onEvent({ type: 'progress', progress: progressOf('upscaling', 0.5, counts) });
      await pause(this.#options.tileMs ?? this.#options.stepMs);
      if (this.#isStopped()) return;
      const step = post.find((each) => each.kind === 'upscale');
      const { upscaler = 'None', size: asked = { factor: 1 } } = step ?? {};
      const isAsItIs = step?.upscaler === 'None' && 'factor' in asked && asked.factor === 1;
      const size = (isAsItIs ? null : this.#options.upscaledSize) ?? (await upscaledSize(image, asked));
      const infotext = known ? `${known.infotext}, Postprocess upscaler: ${upscaler}` : '';
      onEvent({
        type: 'artifact',
        artifact: {
          kind: 'image',
          image: {
            ...size,
            index,
            infotext,
            seed: known?.seed ?? 0n,
            subseed: 0n,
            prompt: known ? [known.prompt] : [],
            negativePrompt: [],
          },
        },
        file: isAsItIs ? image : flatPng(size, [index, 0, 0]),
      });
    }
  }

  // Methods, for these change while the engine waits.
  #hasEnded(): boolean {
    return this.#isCancelled;
  }

  #isStopped(): boolean {
    return this.#isCancelled || this.#isSkipped;
  }
}

/** Names what described. */
function describedAs({ describer }: DescribeJob): TextArtifact {
  const { kind } = describer;
  const extent = describer.kind === 'captioner' && describer.extent ? `${describer.extent} ` : '';
  return { kind: 'text', text: `an image, ${extent}by the ${kind} describer`, tags: [], describer: kind };
}

/** Finds people at the left of a PNG, faces at the right, and at a point the 8 pixels around it. */
async function maskOf({ image, finder }: FindMaskJob): Promise<MaskArtifact> {
  const { width, height } = decodePng(new Uint8Array(await image.arrayBuffer()));
  const [point] = finder.kind === 'points' ? finder.points : [];
  const isFound = (x: number, y: number) =>
    point
      ? Math.max(Math.abs(x - point.x), Math.abs(y - point.y)) <= 4
      : x < width / 2 === (finder.kind === 'person');
  const data = new Uint8Array(width * height * 3);
  for (let i = 0; i < width * height; i++) {
    if (isFound(i % width, Math.floor(i / width))) data.fill(255, i * 3, i * 3 + 3);
  }
  const blob = new Blob([encodePng({ width, height, channels: 3, data })], { type: 'image/png' });
  return { kind: 'mask', of: 0, role: 'mask', blob };
}

async function pause(ms = 0): Promise<void> {
  if (ms > 0) await new Promise((resolve) => setTimeout(resolve, ms));
}

function progressOf(
  phase: JobProgress['phase'],
  fraction: number,
  counts: Pick<JobProgress, 'image' | 'images' | 'pass' | 'passes' | 'step' | 'steps'>,
): JobProgress {
  return { phase, fraction, secondsLeft: null, notes: [], ...counts };
}

async function upscaledSize(image: Blob, size: UpscaleSize): Promise<Size> {
  if (!('factor' in size)) return { width: size.width, height: size.height };
  const { width, height } = decodePng(new Uint8Array(await image.arrayBuffer()));
  return { width: width * size.factor, height: height * size.factor };
}

function flatPreview(side: number, colour: readonly [number, number, number]): Preview {
  const data = new Uint8ClampedArray(3 * side ** 2);
  for (let at = 0; at < data.length; at += 3) data.set(colour, at);
  return { width: side, height: side, data };
}

function flatPng(
  { width, height }: Size,
  colour: readonly [number, number, number],
  text: Readonly<Record<string, string>> = {},
): Blob {
  const row = new Uint8Array(width * 3);
  for (let pixel = 0; pixel < width; pixel++) row.set(colour, pixel * 3);
  const data = new Uint8Array(row.length * height);
  for (let y = 0; y < height; y++) data.set(row, y * row.length);
  return new Blob([encodePng({ width, height, channels: 3, data }, text)], { type: 'image/png' });
}
