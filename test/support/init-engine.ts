import type { EngineWorker } from '#protocol/engine-worker.ts';
import type { GenerateJob, MaskArtifact, Pass } from '#protocol/job.ts';
import type { AddOnPack, ModelPack } from '#protocol/model.ts';
import { decodePng, type Pixels } from '#codecs/png.ts';
import { textToImage } from './jobs.ts';
import { pngOf } from './images.ts';
import { tinyModel } from './tiny-control.ts';
import { addOnPack, engineFor, type FilledPack } from './tiny-packs.ts';
import { tinyUpscalerFile } from './tiny-upscaler.ts';

/** What came of one image of a job. */
export interface MadeImage extends Pixels {
  infotext: string;
  masks: Partial<Record<MaskArtifact['role'], Pixels>>;
}

/** An engine with a tiny checkpoint, `tiny`, and an upscaler, `tiny-2x`; for jobs that start from images. */
export async function openInitEngine() {
  const model: FilledPack<ModelPack> = await tinyModel();
  const upscaler: FilledPack<AddOnPack> = await addOnPack('upscaler', 'tiny-2x', await tinyUpscalerFile(2));
  const engine: EngineWorker = engineFor([model, upscaler]);

  /** Runs a job; its images in order. */
  async function run(job: GenerateJob): Promise<MadeImage[]> {
    const files: { infotext: string; file: Blob }[] = [];
    const masks: MaskArtifact[] = [];
    await engine.run([model.pack, upscaler.pack], job, (event) => {
      if (event.type === 'artifact')
        files.push({ infotext: event.artifact.image.infotext, file: event.file });
      if (event.type === 'by-product' && event.artifact.kind === 'mask') masks.push(event.artifact);
    });
    const made: MadeImage[] = [];
    for (const [index, { infotext, file }] of files.entries()) {
      const own: MadeImage['masks'] = {};
      for (const { of, role, blob } of masks) if (of === index) own[role] = await read(blob);
      made.push({ ...(await read(file)), infotext, masks: own });
    }
    return made;
  }

  /** Runs a job of one image. */
  async function one(job: GenerateJob): Promise<MadeImage> {
    const [image] = await run(job);
    if (!image) throw new Error('There is no image.');
    return image;
  }
  return { engine, installed: [model.pack, upscaler.pack], run, one };
}

/** A job for it that starts from `init`: two steps at 64 × 64. */
export function jobFrom(
  init: GenerateJob['init'],
  pass: Partial<Pass> = {},
  changes: Partial<GenerateJob> = {},
): GenerateJob {
  const { size = { width: 64, height: 64 }, ...others } = pass;
  const job = textToImage({
    prompt: 'waves',
    seeds: [3n],
    model: 'tiny',
    steps: 2,
    guidanceScale: 1,
    strength: 0.7,
    sampler: { family: 'k-diffusion', sampler: 'euler', schedule: 'automatic', options: {} },
    ...size,
    ...others,
  });
  return { ...job, init, ...changes };
}

/** A photo with soft colours everywhere. */
export const photo = (width = 64, height = 64): Blob =>
  pngOf(width, height, (x, y) => [
    128 + 100 * Math.sin(x / 9),
    128 + 100 * Math.cos(y / 7),
    (x * 5 + y * 3) % 256,
  ]);

async function read(blob: Blob): Promise<Pixels> {
  return decodePng(new Uint8Array(await blob.arrayBuffer()));
}

/** The mean difference of two images' colours where `includes` holds; infinite where the sizes differ. */
export function differenceWhere(a: Pixels, b: Pixels, includes: (x: number, y: number) => boolean): number {
  if (a.width !== b.width || a.height !== b.height) return Infinity;
  let [sum, count] = [0, 0];
  for (let i = 0; i < a.width * a.height; i++) {
    if (!includes(i % a.width, Math.floor(i / a.width))) continue;
    for (let c = 0; c < 3; c++, count++) {
      sum += Math.abs((a.data[i * a.channels + c] ?? NaN) - (b.data[i * b.channels + c] ?? NaN));
    }
  }
  return sum / count;
}

/** {@link differenceWhere} everywhere. */
export const difference = (a: Pixels, b: Pixels): number => differenceWhere(a, b, () => true);

/** The pixels of an image file. */
export const pixelsOf = read;
