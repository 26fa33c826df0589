import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { decodePng, type Pixels } from '#codecs/png.ts';
import type { DetailStep, UpscaleJob } from '#protocol/job.ts';
import type { ModelPack } from '#protocol/model.ts';
import { pngOf } from '../../../support/images.ts';
import { jobFrom } from '../../../support/init-engine.ts';
import { tinyModel } from '../../../support/tiny-control.ts';
import { u2netPack } from '../../../support/tiny-finders.ts';
import type { FilledPack } from '../../../support/tiny-packs.ts';
import { visionEngine } from '../../../support/vision-engine.ts';

/** Detail steps as image-enhance of Fooocus has them, at a size that takes no time. */

let model: FilledPack<ModelPack>;
let engine: ReturnType<typeof visionEngine>;
const network = u2netPack();

beforeAll(async () => {
  model = await tinyModel();
  engine = visionEngine([model, network]);
});

afterAll(() => engine.unload());

/** Light in a square of 32 pixels in the middle, dark around it. */
const image = pngOf(128, 128, (x, y) =>
  x >= 48 && x < 80 && y >= 48 && y < 80 ? [250, 240, 230] : [10, 20, 30],
);

function detail(changes: Partial<DetailStep> = {}): DetailStep {
  const { noise, promptOptions, passes } = jobFrom({ from: 'noise' }, { strength: 0.9 });
  return {
    kind: 'detail',
    noise,
    promptOptions,
    finder: { kind: 'salient', model: 'u2net' },
    regions: {
      minScore: 0,
      minShare: 0,
      maxShare: 1,
      offset: { x: 0, y: 0 },
      grow: 0,
      merge: 'merge',
    },
    inpaint: {
      rules: 'fooocus',
      fit: 'stretch',
      fill: 'original',
      blur: { x: 0, y: 0 },
      round: true,
      area: { field: 0 },
      overlay: true,
    },
    pass: passes[0],
    prompts: [{ prompt: ['waves', 'foam'], negativePrompt: [''] }],
    seedStep: 0,
    infotext: [],
    ...changes,
  };
}

async function enhance(...post: UpscaleJob['post']): Promise<Pixels> {
  const job: UpscaleJob = {
    task: 'upscale',
    sources: [{ image, known: { prompt: 'waves', seed: 3n, infotext: '' } }],
    post,
    output: { format: 'png', quality: 1, texts: false },
  };
  const files: Blob[] = [];
  await engine.run([model.pack, network.pack], job, (event) => {
    if (event.type === 'artifact') files.push(event.file);
  });
  const [file] = files;
  if (!file) throw new Error('There is no image.');
  return decodePng(new Uint8Array(await file.arrayBuffer()));
}

/** The share of pixels that are not what they were, of those for which `includes` holds. */
async function changed(result: Pixels, includes: (x: number, y: number) => boolean): Promise<number> {
  const before = decodePng(new Uint8Array(await image.arrayBuffer()));
  let [count, all] = [0, 0];
  for (let i = 0; i < 128 * 128; i++) {
    if (!includes(i % 128, Math.floor(i / 128))) continue;
    all++;
    const differs = [0, 1, 2].some(
      (c) => result.data[i * result.channels + c] !== before.data[i * before.channels + c],
    );
    if (differs) count++;
  }
  return count / all;
}

const isInside = (x: number, y: number) => x >= 52 && x < 76 && y >= 52 && y < 76;
/** Fooocus' masks fade out over 32 pixels. */
const isFarOutside = (x: number, y: number) => x < 8 && y < 8;

describe('a region found by an installed network', () => {
  it('is generated again by Fooocus’ rules, and nothing far from it', async () => {
    const result = await enhance(detail());
    expect([result.width, result.height]).toEqual([128, 128]);
    expect(await changed(result, isInside)).toBeGreaterThan(0.9);
    expect(await changed(result, isFarOutside)).toBe(0);
  });

  it('depends on each of the prompts in a list', async () => {
    const two = await enhance(detail());
    const one = await enhance(detail({ prompts: [{ prompt: ['waves'], negativePrompt: [''] }] }));
    expect(two.data).not.toEqual(one.data);
  });
});

describe('the whole image', () => {
  it('is generated again at another size', async () => {
    const whole = detail({
      finder: { kind: 'everything' },
      inpaint: { ...detail().inpaint, rules: 'a1111', area: 'whole', overlay: false },
      pass: { ...detail().pass, size: { width: 64, height: 128 } },
    });
    const result = await enhance(whole);
    expect([result.width, result.height]).toEqual([64, 128]);
  });
});
