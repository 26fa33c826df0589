import { describeImage } from '#api/describe-image.ts';
import { validate } from '#api/fields.ts';
import { screenParameters } from '#api/parameters.ts';
import { finishedImages } from '#api/run-job.ts';
import { httpException } from '#api/dialects/a1111/errors.ts';
import {
  generate,
  screenOverrides,
  type Generated,
  type Generation,
  type GenerationRequest,
} from '#api/dialects/a1111/generation.ts';
import type { GenerationBody } from '#api/dialects/a1111/generation-rows.ts';
import { describing } from '#api/dialects/a1111/interrogate.ts';
import { planFile, type Plan } from '#api/dialects/a1111/map.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { ImageSpec, JobOrigin, UpscaleJob, UpscaleStep } from '#protocol/job.ts';
import { effectiveOptions } from '#api/dialects/a1111/options.ts';
import { ScriptArguments, type ScriptControl } from '#api/dialects/a1111/script-controls.ts';
import { encodePixels, pngOf, readPixels } from '#api/dialects/a1111/pixel-files.ts';
import type { ScriptContext, Variation } from './script.ts';
import { keptWith, type SeedDraws } from './seed-draws.ts';
import type { ScriptUnderWay } from './under-way.ts';

/** A post step that changes nothing. */
const AS_IT_IS: UpscaleStep = { kind: 'upscale', upscaler: 'None', size: { factor: 1 } };

/**
 * What a script works with.
 * @param place is kept up to date with its runs
 * @param onRun hears of every run of the request
 */
export function openContext<Body extends GenerationBody>(
  controls: readonly ScriptControl[],
  own: Generation<Body>,
  place: ScriptUnderWay,
  draws: SeedDraws,
  onRun: (run: Generated, isPart: boolean) => void,
): ScriptContext<Body> {
  const { signal } = place.stop;
  const named = (reply: JobOrigin['reply']) => ({
    job: place.job,
    ...(place.taskId !== null && { taskId: place.taskId }),
    ...reply,
    script: place.id,
    batches: { ...place.batches },
    ...keptWith(draws),
  });
  const generation: Generation<Body> = {
    ...own,
    call: { ...own.call, run: (job, reply) => own.call.run(job, named(reply), signal) },
  };
  const { call, request } = generation;
  const { body, options, installed } = request;
  let isCancelled = false;

  async function keep(pixels: Pixels, infotext: string, { prompt, seed }: ImageSpec): Promise<Blob> {
    const job: UpscaleJob = {
      task: 'upscale',
      sources: [{ image: pngOf(pixels, infotext), known: { prompt: prompt.join(' '), seed, infotext } }],
      post: [AS_IT_IS],
      output: { ...planFile(options), texts: options.enable_pnginfo },
    };
    // Also of a script that was interrupted, whose signal would stop this too.
    const [kept] = await finishedImages(call.ask, await own.call.run(job, named({})));
    return kept?.blob ?? encodePixels(pixels, infotext, options);
  }

  return {
    args: new ScriptArguments('script_args', controls, body.script_args),
    body,
    isImg2img: own.kind.isImg2img,
    options,
    installed,
    fixSeed: (seed) => draws.fix(seed),
    expect: (all) => {
      place.batches.all = all;
    },
    generate: async (variation) => {
      const varied = vary(generation, variation);
      const generated = await generate(varied, (plan) => {
        const revised = revisePlan(plan, variation);
        const { passes } = revised.job;
        [place.passes, place.steps] = [passes.length, passes[0].steps];
        return revised;
      });
      const { images, batchSize } = generated.plan.job;
      place.batches.before += Math.ceil(images.length / batchSize);
      isCancelled = generated.record.stage === 'cancelled';
      onRun(generated, variation.isPart ?? false);
      return generated;
    },
    upscale: async (job) => finishedImages(call.ask, await call.run(job)),
    describe: async (image, words) => {
      try {
        return (await describeImage(call, image, { kind: words, ...describing(options) })).text;
      } catch (thrown) {
        // What the script has made so far is answered.
        if (signal.aborted) return '';
        throw thrown;
      }
    },
    isStopped: () => isCancelled || signal.aborted || call.signal.aborted,
    readImage: async (image, field) => readPixels(await request.read(image, field)),
    encode: (pixels, infotext) => encodePixels(pixels, infotext, options),
    keep,
    keepGrid: (pixels, infotext, of) =>
      options.grid_save ? keep(pixels, infotext, of) : encodePixels(pixels, infotext, options),
    ignore: (...names) => call.ignore(...names),
  };
}

function vary<Body extends GenerationBody>(
  generation: Generation<Body>,
  { changes = {}, overrides = {}, images }: Variation<Body>,
): Generation<Body> {
  const { request } = generation;
  screenOverrides(generation.call, overrides);
  const files = images ? filesOf(images) : null;
  const varied: GenerationRequest<Body> = {
    ...request,
    body: { ...request.body, ...readChanges(generation, changes), ...files?.fields },
    options: effectiveOptions(request.options, overrides),
    overrides: { ...request.overrides, ...overrides },
    read: (image, field) => {
      const file = files?.byName.get(image);
      return file ? Promise.resolve(file) : request.read(image, field);
    },
  };
  return { ...generation, request: varied };
}

/** Changes as the fields of a request read them, and screened like those. */
function readChanges<Body extends GenerationBody>(
  { call, kind: { parameters } }: Generation<Body>,
  changes: Partial<Body>,
): Partial<Body> {
  const read = validate(parameters.schema, changes, 'body');
  if ('invalid' in read) {
    const names = read.invalid.map(({ path }) => path.join('.'));
    throw httpException(422, `script_args has values that cannot be read: ${names.join(', ')}`);
  }
  const known = Object.entries(read.value).filter(([name]) => Object.hasOwn(changes, name));
  const values = Object.fromEntries(known);
  call.ignore(...screenParameters(parameters, changes, values));
  return values as Partial<Body>;
}

/** Names for images that a request would have in base64, and the files they stand for. */
function filesOf({ init, mask, latentMask }: NonNullable<Variation<GenerationBody>['images']>) {
  const byName = new Map<string, Blob>();
  const named = (name: string, pixels: Parameters<typeof pngOf>[0]) => {
    byName.set(name, pngOf(pixels));
    return name;
  };
  return {
    byName,
    fields: {
      init_images: init.map((pixels, i) => named(`script:init:${i}`, pixels)),
      ...(mask && { mask: named('script:mask', mask) }),
      ...(latentMask && { latent_mask: named('script:latent_mask', latentMask) }),
    },
  };
}

function revisePlan<Body extends GenerationBody>(
  plan: Plan,
  { specs, pairs = [], intermediate = false }: Variation<Body>,
): Plan {
  const { job } = plan;
  const { metadata, ...output } = job.output;
  return {
    ...plan,
    extra: [...pairs, ...plan.extra],
    job: {
      ...job,
      images: specs ? specs(job.images) : job.images,
      output: {
        ...output,
        ...(intermediate && { format: 'png' as const }),
        metadata: metadata && { ...metadata, extra: [...pairs, ...metadata.extra] },
      },
    },
  };
}
