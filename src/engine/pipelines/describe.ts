import { generationPairs, writeInfotext, type InfotextPair } from '#codecs/infotext.ts';
import type { LoadedModel } from '#engine/models/model.ts';
import type { SamplingPlan } from '#engine/samplers/sampling-plan.ts';
import type { GenerateJob, ImageSpec } from '#protocol/job.ts';
import { packHash, type AddOnPack } from '#protocol/model.ts';
import type { Size } from './draw-size.ts';
import { RESIZE_METHOD } from './resize.ts';

/** Digits of a model's hash in infotexts. */
const HASH_DIGITS = 10;

/** Of LoRAs and embeddings. */
const ADD_ON_HASH_DIGITS = 12;

/** What an image was drawn with besides the model. */
export interface UsedAddOns {
  vae: AddOnPack | undefined;
  loras: readonly AddOnPack[];
  embeddings: readonly AddOnPack[];
}

/**
 * A1111's infotext of an image. Pairs come in A1111's order (modules/processing.py, `create_infotext`); a
 * image drawn at another size than asked for says so.
 */
export function describeImage(
  job: GenerateJob,
  spec: ImageSpec,
  model: LoadedModel,
  plan: SamplingPlan,
  drawn: Size,
  { vae, loras, embeddings }: UsedAddOns,
): string {
  const { noise, promptOptions, output } = job;
  const resized = drawn.width !== job.width || drawn.height !== job.height;
  return writeInfotext({
    prompt: spec.prompt.join(', '),
    negativePrompt: spec.negativePrompt.join(', '),
    parameters: generationPairs({
      steps: job.steps,
      sampler: output.metadata?.samplerLabel ?? samplerName(job),
      schedule: output.metadata ? output.metadata.scheduleLabel : plan.schedule,
      cfgScale: job.guidanceScale,
      seed: spec.seed,
      width: job.width,
      height: job.height,
      modelHash: packHash(model.pack).slice(0, HASH_DIGITS),
      model: model.pack.id,
      vaeHash: vae ? packHash(vae).slice(0, HASH_DIGITS) : null,
      vae: vae?.id ?? null,
      subseed: spec.subseed,
      subseedStrength: noise.subseedStrength,
      seedResizeFrom: noise.resizeFrom ?? null,
      denoisingStrength: job.task === 'txt2img' ? null : job.init.strength,
      clipSkip: promptOptions.clipSkip,
      etaNoiseSeedDelta: plan.usesEnsd ? noise.etaNoiseSeedDelta : 0,
      randomSource: noise.source === 'philox' ? 'GPU' : 'CPU',
      tiling: job.graphs?.tiling ?? false,
      extra: [
        ...(output.metadata?.extra ?? []),
        ...hashPair('Lora hashes', loras),
        ...hashPair('TI hashes', embeddings),
        ...(resized
          ? ([
              ['Drawn at', `${String(drawn.width)}x${String(drawn.height)}`],
              ['Resized with', RESIZE_METHOD],
            ] as const)
          : []),
      ],
      version: 'Vitrine',
    }),
  });
}

function samplerName({ sampler }: GenerateJob): string {
  return sampler.family === 'diffusers' ? sampler.scheduler : sampler.sampler;
}

/** `Lora hashes: "name: 0123456789ab, …"`. */
function hashPair(key: string, packs: readonly AddOnPack[]): InfotextPair[] {
  const hashes = packs.map((pack) => `${pack.id}: ${packHash(pack).slice(0, ADD_ON_HASH_DIGITS)}`);
  return hashes.length > 0 ? [[key, hashes.join(', ')]] : [];
}
