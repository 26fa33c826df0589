import { readFile } from 'node:fs/promises';
import { afterAll, describe, expect, it } from 'vitest';
import type { Pixels } from '#codecs/png.ts';
import type { Finder } from '#protocol/finder.ts';
import type { FindMaskJob, NetworkPreprocessor } from '#protocol/job.ts';
import { pngOf } from '../../../support/images.ts';
import {
  depthPack,
  networkPack,
  samPack,
  tinyDepth,
  tinySamEncoder,
  u2netPack,
} from '../../../support/tiny-finders.ts';
import { groundingDinoPack, owlVitPack, tinyBoxSamDecoder } from '../../../support/tiny-word-finders.ts';
import { includedPacks, runForMap, visionEngine } from '../../../support/vision-engine.ts';
import { watchRuns } from '../../../support/watch-runs.ts';

const boxSam = networkPack('finder', 'box-sam', 'sam', {
  'vision_encoder.onnx': tinySamEncoder(),
  'prompt_encoder_mask_decoder.onnx': tinyBoxSamDecoder(),
});
const imported = [
  u2netPack(),
  samPack(),
  boxSam,
  depthPack(),
  groundingDinoPack(),
  owlVitPack(),
  owlVitPack('tiny-owl-2', { image_processor_type: 'Owlv2ImageProcessor' }),
];
const engine = visionEngine(imported);
const installed = [...includedPacks, ...imported.map(({ pack }) => pack)];

afterAll(() => engine.unload());

const fixture = async (name: string) =>
  new Blob([new Uint8Array(await readFile(`test/fixtures/small-networks/${name}`))]);

const find = (image: Blob, finder: Finder, more: Partial<FindMaskJob> = {}) =>
  runForMap(engine, installed, { task: 'find-mask', image, finder, ...more });

const preprocess = (image: Blob, preprocessor: NetworkPreprocessor) =>
  runForMap(engine, installed, { task: 'preprocess', image, preprocessor });

/** The share of pixels of a part of the image, in shares of its sides, that are white. */
function whiteIn({ width, height, channels, data }: Pixels, includes: (x: number, y: number) => boolean) {
  let [white, all] = [0, 0];
  for (let i = 0; i < width * height; i++) {
    if (!includes((i % width) / width, Math.floor(i / width) / height)) continue;
    all++;
    if ((data[i * channels] ?? 0) > 127) white++;
  }
  return white / all;
}

/** Red at the left, green at the right; black below. */
const quarters = pngOf(64, 64, (x, y) => (y >= 32 ? [0, 0, 0] : x < 32 ? [255, 0, 0] : [0, 255, 0]));

describe('a mask of what is found', () => {
  it('has a rectangle for each face, or the ellipse within it', async () => {
    const image = await fixture('face-detector/two-faces.png');
    const { map: boxes, role, notes } = await find(image, { kind: 'faces' });
    const { map: ellipses } = await find(image, { kind: 'faces', shape: 'ellipse' });
    const [inBoxes, inEllipses] = [boxes, ellipses].map((map) => whiteIn(map, () => true));
    expect([role, notes]).toEqual(['mask', []]);
    expect(inBoxes).toBeGreaterThan(0.02);
    expect(inBoxes).toBeLessThan(0.6);
    expect((inEllipses ?? 0) / (inBoxes ?? 1)).toBeCloseTo(Math.PI / 4, 1);
    const { map: first } = await find(image, { kind: 'faces', max: 1 });
    expect(whiteIn(first, () => true)).toBeLessThan(inBoxes ?? 0);
  });

  it('grows by as many pixels as it is told', async () => {
    const image = await fixture('face-detector/two-faces.png');
    const { map } = await find(image, { kind: 'faces', max: 1 });
    const { map: grown } = await find(image, { kind: 'faces', max: 1 }, { erodeOrDilate: 4 });
    const sideOf = (mask: Pixels) => {
      const xs = Array.from({ length: mask.width }, (_, x) => x).filter((x) =>
        Array.from({ length: mask.height }, (_, y) => y).some(
          (y) => (mask.data[(y * mask.width + x) * mask.channels] ?? 0) > 127,
        ),
      );
      return xs.length;
    };
    expect(sideOf(grown) - sideOf(map)).toBe(8);
  });

  it('outlines a person', async () => {
    const { map } = await find(await fixture('person-mask/astronaut.png'), { kind: 'person' });
    // Eileen Collins stands in the middle; the upper right corner is a space shuttle.
    expect(whiteIn(map, (x, y) => x > 0.35 && x < 0.55 && y > 0.2 && y < 0.9)).toBeGreaterThan(0.9);
    expect(whiteIn(map, (x, y) => x > 0.85 && y < 0.3)).toBeLessThan(0.1);
  });

  it('is black where nothing is found, and says so', async () => {
    const { map, notes } = await find(quarters, { kind: 'faces' });
    expect(whiteIn(map, () => true)).toBe(0);
    expect(notes).toEqual([expect.stringContaining('Nothing was found')]);
  });

  it('shows what an installed U²-Net finds salient, at the size of the image', async () => {
    const { map } = await find(quarters, { kind: 'salient', model: 'u2net' });
    expect([map.width, map.height]).toEqual([64, 64]);
    expect(whiteIn(map, (_, y) => y < 0.45)).toBe(1);
    expect(whiteIn(map, (_, y) => y > 0.55)).toBe(0);
  });

  it('is what an installed Segment Anything likes best at the points', async () => {
    const at = (x: number, isWanted: boolean) =>
      find(quarters, { kind: 'points', model: 'slimsam', points: [{ x, y: 16, isWanted }] });
    const isGreen = (x: number, y: number) => x > 0.55 && y < 0.45;
    const isRed = (x: number, y: number) => x < 0.45 && y < 0.45;
    const { map } = await at(56, true);
    expect([whiteIn(map, isGreen), whiteIn(map, isRed)]).toEqual([1, 0]);
    const { map: others } = await at(56, false);
    expect([whiteIn(others, isGreen), whiteIn(others, isRed)]).toEqual([0, 1]);
  });

  it('looks at an image once, however many points of it are asked for', async () => {
    const encoded: string[] = [];
    const own = visionEngine([samPack()], (runtime) =>
      watchRuns(runtime, (session, inputs) => {
        if ('pixel_values' in inputs) encoded.push(session.inputNames.join());
      }),
    );
    const sam = samPack().pack;
    const click = (image: Blob, x: number) =>
      runForMap(own, [sam], {
        task: 'find-mask',
        image,
        finder: { kind: 'points', model: sam.id, points: [{ x, y: 16, isWanted: true }] },
      });
    const first = await click(quarters, 56);
    await click(quarters, 8);
    expect((await click(quarters, 56)).map).toEqual(first.map);
    expect(encoded).toHaveLength(1);
    // One image is kept, and nothing once the networks are released.
    const other = pngOf(64, 64, () => [0, 0, 255]);
    expect((await click(other, 56)).map).not.toEqual(first.map);
    expect((await click(quarters, 56)).map).toEqual(first.map);
    expect(encoded).toHaveLength(3);
    await own.unload();
    await click(quarters, 8);
    expect(encoded).toHaveLength(4);
    await own.unload();
  });

  it('needs its network, and a network that answers as expected', async () => {
    await expect(find(quarters, { kind: 'salient', model: 'isnet' })).rejects.toMatchObject({
      code: 'model_not_found',
    });
    await expect(find(quarters, { kind: 'salient', model: 'slimsam' })).rejects.toMatchObject({
      code: 'unsupported_feature',
    });
    await expect(find(new Blob(['text']), { kind: 'person' })).rejects.toMatchObject({
      code: 'invalid_request',
    });
  });
});

describe('what words name', () => {
  const dino = { kind: 'text', model: 'tiny-dino', threshold: 0.3 } as const;
  const owl = { ...dino, model: 'tiny-owl' } as const;
  const quarterOf = (map: Pixels) => [
    whiteIn(map, (x, y) => x < 0.5 && y < 0.5),
    whiteIn(map, (x, y) => x >= 0.5 && y < 0.5),
    whiteIn(map, (_, y) => y >= 0.5),
  ];
  const found = async (finder: Finder, image = quarters) => quarterOf((await find(image, finder)).map);

  it.each<[string, Finder, [red: number, green: number, below: number]]>([
    ['a Grounding DINO', { ...dino, text: ' Red' }, [1, 0, 0]],
    ['a Grounding DINO, several of them', { ...dino, text: 'green . red.' }, [1, 1, 0]],
    ['a Grounding DINO, the most certain of them', { ...dino, text: 'green. red', max: 1 }, [1, 0, 0]],
    ['a Grounding DINO that has to be certain', { ...dino, text: 'green. red', threshold: 0.7 }, [1, 0, 0]],
    ['an OWL-ViT', { ...owl, text: 'Red' }, [1, 0, 0]],
    ['an OWL-ViT, several of them', { ...owl, text: 'a green. red' }, [1, 1, 0]],
    ['an OWL-ViT, whose numbers are lower for the same certainty', { ...owl, text: 'colors' }, [1, 1, 0]],
    ['an OWL-ViT that has to be certain', { ...owl, text: 'colors', threshold: 0.7 }, [0, 0, 0]],
    ['an OWL-ViT, of words that are cut', { ...owl, text: 'red and much more than it reads' }, [1, 0, 0]],
  ])('is found by %s', async (_, finder, expected) => {
    expect(await found(finder)).toEqual(expected);
  });

  it('is nothing where the words name nothing that is there', async () => {
    const { map, notes } = await find(quarters, { ...dino, text: 'a hat' });
    expect([quarterOf(map), notes]).toEqual([[0, 0, 0], [expect.stringContaining('Nothing was found')]]);
    expect(await found({ ...owl, text: '. .' })).toEqual([0, 0, 0]);
  });

  it('is in a rectangle that grows before anything else', async () => {
    const { map } = await find(quarters, { ...dino, text: 'red', grow: 4 });
    expect(whiteIn(map, (x, y) => x < 36 / 64 && y < 36 / 64)).toBe(1);
    expect(whiteIn(map, (x) => x >= 36 / 64)).toBe(0);
  });

  it('is seen by an OWLv2 in the corner of a square', async () => {
    const wide = pngOf(64, 32, () => [255, 255, 255]);
    const owl2 = { ...owl, model: 'tiny-owl-2', text: 'red' };
    // A quarter of a square of 64 pixels is all of the left half.
    const { map } = await find(wide, owl2);
    expect([whiteIn(map, (x) => x < 0.5), whiteIn(map, (x) => x >= 0.5)]).toEqual([1, 0]);
  });

  it('is outlined by a Segment Anything: of its answers the one that is most like the rectangle', async () => {
    // It likes blue best, of which there is nothing; in the middle of the rectangle it finds red, green and nothing.
    expect(await found({ ...dino, segmenter: 'slimsam', text: 'red' })).toEqual([expect.closeTo(1, 1), 0, 0]);
    expect(await found({ ...dino, segmenter: 'slimsam', text: 'green' })).toEqual([
      0,
      expect.closeTo(1, 1),
      0,
    ]);
  });

  it('is outlined by one that reads rectangles', async () => {
    const { map } = await find(quarters, { ...dino, segmenter: 'box-sam', text: 'red' });
    // 16 pixels of 1024 are one of the image's 64.
    expect(whiteIn(map, (x, y) => x > 2 / 64 && x < 30 / 64 && y > 2 / 64 && y < 30 / 64)).toBe(1);
    expect(whiteIn(map, (x, y) => x > 31 / 64 || y > 31 / 64)).toBe(0);
  });

  it('needs its networks, and such that find by words', async () => {
    await expect(find(quarters, { ...dino, text: 'red', segmenter: 'none' })).rejects.toMatchObject({
      code: 'model_not_found',
    });
    await expect(find(quarters, { ...dino, text: 'red', model: 'u2net' })).rejects.toMatchObject({
      code: 'unsupported_feature',
    });
  });
});

describe('a preprocessor that runs a network', () => {
  it('draws the pose of a person', async () => {
    const image = await fixture('pose/astronaut.png');
    const { map, role } = await preprocess(image, { kind: 'openpose', resolution: 256 });
    expect([role, Math.min(map.width, map.height)]).toEqual(['map', 256]);
    // Points keep their full colours: the nose is red.
    const colours = new Set<string>();
    for (let i = 0; i < map.data.length; i += map.channels)
      colours.add([...map.data.subarray(i, i + 3)].join());
    expect(colours).toContain('255,0,0');
    expect(colours).toContain('0,0,0');
    expect(colours.size).toBeGreaterThan(6);
  });

  it('says when there is nobody', async () => {
    const { map, notes } = await preprocess(quarters, { kind: 'openpose', resolution: 64 });
    expect(whiteIn(map, () => true)).toBe(0);
    expect(notes).toEqual([expect.stringContaining('No person')]);
  });

  it('shows what is near as light by an installed depth network', async () => {
    const ramp = pngOf(64, 32, (x) => [x * 4, x * 4, x * 4]);
    const { map } = await preprocess(ramp, {
      kind: 'depth',
      model: 'depth-anything-v2-small',
      resolution: 64,
    });
    expect([map.width, map.height]).toEqual([128, 64]);
    const row = Array.from({ length: 128 }, (_, x) => map.data[(32 * 128 + x) * map.channels] ?? 0);
    expect(row[0]).toBeLessThan(4);
    expect(row[127]).toBeGreaterThan(250);
    expect(row[64]).toBeGreaterThan(110);
    expect(row[64]).toBeLessThan(145);
  });

  it('tells slopes from depth, and takes what is far for flat', async () => {
    const ramp = pngOf(64, 32, (x) => [x * 4, x * 4, x * 4]);
    const normal = { kind: 'normal', model: 'depth-anything-v2-small', resolution: 64 } as const;
    const { map } = await preprocess(ramp, { ...normal, background: 0.5 });
    const at = (x: number) => [...map.data.subarray((32 * 128 + x) * map.channels).subarray(0, 3)];
    expect(at(20)).toEqual([127, 127, 255]);
    const [red = 0, green = 0, blue = 0] = at(100);
    expect(red).toBeGreaterThan(200);
    expect(Math.abs(green - 127)).toBeLessThan(8);
    expect(blue).toBeGreaterThan(127);
  });

  it('reads how the image is to be prepared from the network’s own configuration', async () => {
    const config = { size: { height: 28, width: 28 }, keep_aspect_ratio: false, ensure_multiple_of: 14 };
    const pack = networkPack('preprocessor', 'small-depth', 'depth-anything', {
      'model.onnx': tinyDepth(),
      'preprocessor_config.json': new TextEncoder().encode(JSON.stringify(config)),
    });
    const own = visionEngine([pack]);
    // Stripes finer than 28 pixels can show are grey.
    const stripes = pngOf(112, 112, (x, y) => (y < 56 ? [0, 0, 0] : x % 2 ? [255, 255, 255] : [0, 0, 0]));
    const { map } = await runForMap(own, [pack.pack], {
      task: 'preprocess',
      image: stripes,
      preprocessor: { kind: 'depth', model: 'small-depth', resolution: 112 },
    });
    const row = Array.from({ length: 80 }, (_, x) => map.data[(90 * 112 + 16 + x) * map.channels] ?? 0);
    expect(Math.max(...row) - Math.min(...row)).toBeLessThan(40);
    await own.unload();
  });
});
