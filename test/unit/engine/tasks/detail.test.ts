import { beforeAll, describe, expect, it } from 'vitest';
import { decodePng, type Pixels } from '#codecs/png.ts';
import type { DetailStep, GenerateJob, PostStep, RegionRules, UpscaleJob } from '#protocol/job.ts';
import { faceFinder, facePhoto } from '../../../support/face-restorer.ts';
import { pngOf } from '../../../support/images.ts';
import { differenceWhere, jobFrom } from '../../../support/init-engine.ts';
import { tinyModel } from '../../../support/tiny-control.ts';
import { engineFor, runToEnd } from '../../../support/tiny-packs.ts';

const model = await tinyModel();
const finder = faceFinder();
const engine = engineFor([model, finder]);
const installed = [model.pack, finder.pack];

/** Around the faces of `two-faces.png`, 192 × 192 pixels, and within them. */
const isIn = (left: number, top: number, right: number, bottom: number) => (x: number, y: number) =>
  x >= left && x < right && y >= top && y < bottom;
const inLarge = isIn(15, 25, 95, 105);
const inSmall = isIn(130, 105, 185, 162);
const inLargeFace = isIn(38, 46, 68, 78);
const inSmallFace = isIn(148, 126, 164, 142);

const REGIONS: RegionRules = {
  minScore: 0.5,
  minShare: 0,
  maxShare: 1,
  offset: { x: 0, y: 0 },
  grow: 4,
  merge: 'none',
};

const base = jobFrom({ from: 'noise' });

function detail(changes: Partial<DetailStep> = {}): DetailStep {
  return {
    kind: 'detail',
    finder: { kind: 'faces' },
    regions: REGIONS,
    inpaint: {
      rules: 'a1111',
      fit: 'stretch',
      fill: 'original',
      blur: { x: 2, y: 2 },
      round: true,
      area: { padding: 8 },
      overlay: true,
    },
    pass: { ...base.passes[0], size: { width: 64, height: 64 }, strength: 0.9 },
    noise: base.noise,
    promptOptions: base.promptOptions,
    seedStep: 1,
    infotext: [['ADetailer model', 'face_yolov8n.pt']],
    ...changes,
  };
}

function upscaleJob(post: readonly [PostStep, ...PostStep[]], image = facePhoto('two-faces')): UpscaleJob {
  return {
    task: 'upscale',
    sources: [{ image, known: { prompt: 'waves', seed: 3n, infotext: '' } }],
    post,
    output: { format: 'png', quality: 1, texts: true },
  };
}

async function run(
  job: GenerateJob | UpscaleJob,
): Promise<{ image: Pixels; notes: readonly string[]; infotext: string }> {
  const { pngs, notes, images } = await runToEnd(engine, installed, job);
  if (!pngs[0]) throw new Error('There is no image.');
  return { image: decodePng(pngs[0]), notes, infotext: images[0]?.infotext ?? '' };
}

let photo: Pixels;
let detailed: Pixels;
beforeAll(async () => {
  photo = decodePng(new Uint8Array(await facePhoto('two-faces').arrayBuffer()));
  ({ image: detailed } = await run(upscaleJob([detail()])));
}, 120_000);

describe('a detail step', () => {
  it('generates each face again and nothing else', () => {
    expect(detailed).toMatchObject({ width: photo.width, height: photo.height });
    expect(differenceWhere(detailed, photo, inLargeFace)).toBeGreaterThan(10);
    expect(differenceWhere(detailed, photo, inSmallFace)).toBeGreaterThan(10);
    expect(differenceWhere(detailed, photo, (x, y) => !inLarge(x, y) && !inSmall(x, y))).toBe(0);
  });

  it('does so for the regions that the rules choose', async () => {
    const rules = { ...REGIONS, most: { count: 1, by: 'area' } } as const;
    const { image } = await run(upscaleJob([detail({ regions: rules })]));
    expect(differenceWhere(image, photo, inSmallFace)).toBe(0);
    expect(differenceWhere(image, detailed, inLargeFace)).toBe(0);
  });

  it('counts the seeds of the regions, unless they are all the same', async () => {
    const { image } = await run(upscaleJob([detail({ seedStep: 0 })]));
    expect(differenceWhere(image, detailed, inLargeFace)).toBe(0);
    expect(differenceWhere(image, detailed, inSmallFace)).toBeGreaterThan(1);
  });

  it('takes prompts for regions, and leaves out those that are skipped', async () => {
    const own = { prompt: ['[PROMPT]'], negativePrompt: [''] };
    const { image: same } = await run(upscaleJob([detail({ prompts: [own, 'skip'] })]));
    expect(differenceWhere(same, detailed, inLargeFace)).toBe(0);
    expect(differenceWhere(same, photo, inSmallFace)).toBe(0);
    const prompts = [{ prompt: ['a portrait of a cat'], negativePrompt: [''] }];
    const { image: other } = await run(upscaleJob([detail({ prompts })]));
    expect(differenceWhere(other, detailed, inLargeFace)).toBeGreaterThan(0);
  });

  it('can be seen in part', async () => {
    const { image } = await run(upscaleJob([detail({ visibility: 0.5 })]));
    const half = differenceWhere(image, photo, inLargeFace) / differenceWhere(detailed, photo, inLargeFace);
    expect(half).toBeGreaterThan(0.4);
    expect(half).toBeLessThan(0.6);
  });

  it('only touches what a mask does, if there is one', async () => {
    const mask = pngOf(192, 192, (x, y) => (inSmall(x, y) ? [255, 255, 255] : [0, 0, 0]));
    const touching = { ...REGIONS, touching: { mask, invert: false } };
    const { image } = await run(upscaleJob([detail({ regions: touching })]));
    expect(differenceWhere(image, photo, inLargeFace)).toBe(0);
    expect(differenceWhere(image, photo, inSmallFace)).toBeGreaterThan(10);
  });

  it('says so where nothing is found', async () => {
    const { image, notes } = await run(upscaleJob([detail({ regions: { ...REGIONS, minScore: 1 } })]));
    expect(image.data).toEqual(photo.data);
    expect(notes).toEqual(['Image 1 stays as it is: nothing to inpaint was found in it.']);
  });

  it('follows the passes of a job, and the infotext says so', async () => {
    const init = { from: 'image', rules: 'a1111', images: [facePhoto('two-faces')], fit: 'stretch' } as const;
    const job = jobFrom(init, { size: { width: 192, height: 192 }, strength: 0 }, { post: [detail()] });
    const { image, infotext } = await run({ ...job, skipPasses: true });
    expect(differenceWhere(image, detailed, () => true)).toBe(0);
    expect(infotext).toContain('ADetailer model: face_yolov8n.pt');
  });

  it('ends with the job when that is cancelled', async () => {
    const steps: string[] = [];
    const files: Blob[] = [];
    const { interrupted } = await engine.run(installed, upscaleJob([detail()]), (event) => {
      if (event.type === 'progress') {
        steps.push(event.progress.phase);
        if (event.progress.phase === 'detailing') engine.cancel();
      }
      if (event.type === 'artifact') files.push(event.file);
    });
    expect(steps).toContain('detailing');
    expect({ interrupted, files }).toEqual({ interrupted: true, files: [] });
  });

  it('needs what it names before anything is generated', async () => {
    const job = upscaleJob([detail({ pass: { ...base.passes[0], model: 'gone' } })]);
    await expect(runToEnd(engine, installed, job)).rejects.toThrow('The checkpoint “gone” is not installed.');
  });
});
