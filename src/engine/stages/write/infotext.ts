import { FACE_RESTORATION, generationPairs, writeInfotext, type InfotextPair } from '#codecs/infotext.ts';
import { postPairs } from '#engine/stages/post/post.ts';
import type { PlannedPass } from '#engine/stages/resolve/resolve.ts';
import type { GenerateJob, Pass, PostStep } from '#protocol/job.ts';
import { packHash, type AddOnPack } from '#protocol/model.ts';

/** What images are resized with that were generated at another size. */
const RESIZE_METHOD = 'Lanczos';

/** Digits of a model's hash in infotexts. */
const HASH_DIGITS = 10;

/** Of LoRAs and embeddings. */
const ADD_ON_HASH_DIGITS = 12;

/**
 * A1111's infotext of a generated image: prompt, negative prompt, and pairs in A1111's order (modules/processing.py,
 * `create_infotext`). Of several passes it states the first one's model, size and sampler, as A1111 does with hires fix; what
 * the other passes need is up to the dialect. If the networks ran at another size than requested, it says so.
 *
 * @param index the image's position in the job
 * @param post the steps that were run on it
 */
export function writeGenerationText(
  job: GenerateJob,
  index: number,
  [first]: readonly [PlannedPass, ...PlannedPass[]],
  post: readonly PostStep[],
): string {
  const { noise, promptOptions, output } = job;
  const { spec, model, vae, plan, runSize } = first;
  const { size } = spec;
  const image = job.images[index] ?? { prompt: [], negativePrompt: [], seed: 0n, subseed: 0n };
  const posted = postPairs(post);
  const isResized = runSize.width !== size.width || runSize.height !== size.height;
  return writeInfotext({
    prompt: image.prompt.join(', '),
    negativePrompt: image.negativePrompt.join(', '),
    parameters: generationPairs({
      steps: spec.steps,
      sampler: output.metadata?.samplerLabel ?? samplerName(spec),
      schedule: output.metadata ? output.metadata.scheduleLabel : plan.schedule,
      cfgScale: spec.guidanceScale,
      seed: image.seed,
      ...size,
      modelHash: packHash(model.pack).slice(0, HASH_DIGITS),
      model: model.pack.id,
      vaeHash: vae ? packHash(vae).slice(0, HASH_DIGITS) : null,
      vae: vae?.id ?? null,
      subseed: image.subseed,
      subseedStrength: noise.subseedStrength,
      faceRestoration: posted.find(([key]) => key === FACE_RESTORATION)?.[1] ?? null,
      seedResizeFrom: noise.resizeFrom ?? null,
      denoisingStrength: denoisingStrength(job),
      clipSkip: promptOptions.clipSkip,
      etaNoiseSeedDelta: plan.usesEnsd ? noise.etaNoiseSeedDelta : 0,
      randomSource: noise.source === 'philox' ? 'GPU' : 'CPU',
      tiling: spec.graph?.tiling ?? false,
      extra: [
        ...(output.metadata?.extra ?? []),
        ...(spec.tiles
          ? ([
              ['Denoised in tiles', String(spec.tiles.size)],
              ['Tile overlap', String(spec.tiles.overlap)],
            ] as const)
          : []),
        ...hashPair(
          'Lora hashes',
          (first.loras[index]?.loras ?? []).map(({ pack }) => pack),
        ),
        ...hashPair('TI hashes', first.prompts[index]?.embeddings ?? []),
        ...posted.filter(([key]) => key !== FACE_RESTORATION),
        ...(isResized
          ? ([
              ['Generated at', `${String(runSize.width)}x${String(runSize.height)}`],
              ['Resized with', RESIZE_METHOD],
            ] as const)
          : []),
      ],
      version: 'Vitrine',
    }),
  });
}

/** That of the second pass, or else of a first one that starts from an image; null where neither is. */
function denoisingStrength({ init, passes: [first, second] }: GenerateJob): number | null {
  return (second ?? (init.from === 'noise' ? null : first))?.strength ?? null;
}

function samplerName({ sampler }: Pass): string {
  return sampler.family === 'diffusers' ? sampler.scheduler : sampler.sampler;
}

/** `Lora hashes: "name: 0123456789ab, …"`. */
function hashPair(key: string, packs: readonly AddOnPack[]): InfotextPair[] {
  const hashes = packs.map((pack) => `${pack.id}: ${packHash(pack).slice(0, ADD_ON_HASH_DIGITS)}`);
  return hashes.length > 0 ? [[key, hashes.join(', ')]] : [];
}
