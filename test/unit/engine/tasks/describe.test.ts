import { readFileSync } from 'node:fs';
import { afterAll, describe, expect, it } from 'vitest';
import { encodePng } from '#codecs/png.ts';
import type { Describer, TagRules } from '#protocol/describer.ts';
import type { TextArtifact } from '#protocol/job.ts';
import {
  captionerPack,
  deepDanbooruPack,
  florencePack,
  wdTaggerPack,
} from '../../../support/tiny-describers.ts';
import { includedPacks, visionEngine } from '../../../support/vision-engine.ts';

const PACKS = [wdTaggerPack(), deepDanbooruPack(), captionerPack(), florencePack()];
const engine = visionEngine(PACKS);
afterAll(() => engine.unload());

const RULES: TagRules = {
  threshold: 0.35,
  sortsByName: false,
  usesSpaces: true,
  escapes: true,
  showsScores: false,
  leaveOut: [],
};

async function describeBy(
  describer: Describer,
  image: Blob,
): Promise<TextArtifact & { notes: readonly string[] }> {
  const made: TextArtifact[] = [];
  const installed = [...includedPacks, ...PACKS.map(({ pack }) => pack)];
  const { notes } = await engine.run(installed, { task: 'describe', image, describer }, (event) => {
    if (event.type === 'by-product' && event.artifact.kind === 'text') made.push(event.artifact);
  });
  const [text, ...more] = made;
  if (!text || more.length > 0) throw new Error(`The job made ${made.length} texts.`);
  return { ...text, notes };
}

/** An image of one color. */
function flat(red: number, green: number, blue: number, width = 40, height = 40): Blob {
  const data = Uint8Array.from({ length: width * height * 3 }, (_, i) => [red, green, blue][i % 3] ?? 0);
  return new Blob([encodePng({ width, height, channels: 3, data })], { type: 'image/png' });
}

const imageOf = (name: string) =>
  new Blob([readFileSync(new URL(`../../../fixtures/described/${name}.png`, import.meta.url))]);

describe('the included describer', () => {
  it('names what an image of the built-in model shows, as a prompt or as tags', async () => {
    const image = imageOf('guitar');
    const prompt = await describeBy({ kind: 'built-in', as: 'prompt' }, image);
    expect(prompt).toMatchObject({ text: 'guitar, gradient style', describer: 'emoji-mini-describer' });
    expect(prompt.tags[0]).toEqual({ name: 'guitar', score: expect.closeTo(0.9, 1) as number });
    expect(prompt.notes).toEqual([expect.stringContaining('only images of the built-in model')]);
    const tags = await describeBy(
      { kind: 'built-in', as: 'tags', rules: { ...RULES, sortsByName: true } },
      image,
    );
    expect(tags.text).toBe('gradient style, guitar, instrument, music, strat');
  });

  it('says the color of what has several', async () => {
    const { text } = await describeBy({ kind: 'built-in', as: 'prompt' }, imageOf('cactus'));
    expect(text).toBe('green cactus, gradient style');
  });
});

describe('a tagger', () => {
  const orange = flat(255, 128, 0);
  const wd = { kind: 'tagger', model: 'tiny-wd' } as const;

  it('of WD14 sees blue first in 0 … 255; its rating is no tag', async () => {
    const { text, tags, describer, notes } = await describeBy({ ...wd, rules: RULES }, orange);
    expect(text).toBe('red hair, green \\(plant, large\\)');
    expect(tags.map(({ name }) => name)).toEqual(['red_hair', 'green_(plant, large)']);
    expect(tags[1]?.score).toBeCloseTo(128 / 255, 3);
    expect([describer, notes]).toEqual(['tiny-wd', []]);
  });

  it('of WD14 sees images that are not square on white', async () => {
    const { tags } = await describeBy({ ...wd, rules: RULES }, flat(0, 0, 0, 40, 20));
    expect(tags.map(({ score }) => score)).toEqual(Array(3).fill(expect.closeTo(0.5, 1)));
  });

  it('of DeepDanbooru sees red first in 0 … 1', async () => {
    const { text } = await describeBy({ kind: 'tagger', model: 'tiny-dd', rules: RULES }, orange);
    expect(text).toBe('red hair, green plant');
  });

  it.each<[string, Partial<TagRules>, string]>([
    ['a threshold', { threshold: 0.6 }, 'red hair'],
    ['names in order', { sortsByName: true }, 'green \\(plant, large\\), red hair'],
    ['underscores', { usesSpaces: false }, 'red_hair, green_\\(plant, large\\)'],
    ['no backslashes', { escapes: false }, 'red hair, green (plant, large)'],
    ['tags left out', { leaveOut: ['red_hair'] }, 'green \\(plant, large\\)'],
  ])('is written with %s', async (_, changes, expected) => {
    expect((await describeBy({ ...wd, rules: { ...RULES, ...changes } }, orange)).text).toBe(expected);
  });

  it('is written with scores', async () => {
    const { text } = await describeBy({ ...wd, rules: { ...RULES, showsScores: true } }, orange);
    expect(text).toMatch(/^\(red hair:1\.00\d\), \(green \\\(plant, large\\\):0\.50\d\)$/);
  });

  it.each([
    ['tag_id,name,category\n1,a,0\n', 'has 4 outputs for the 1 tags of its list.'],
    ['\u0000\u0001 not a list\nof tags', 'has no names for its tags in selected_tags.csv.'],
  ])('is refused where its list of tags is another’s or damaged', async (list, problem) => {
    const { pack, files } = wdTaggerPack();
    const other = { pack, files: { ...files, 'selected_tags.csv': new Blob([list]) } };
    const own = visionEngine([other]);
    const job = { task: 'describe', image: orange, describer: { ...wd, rules: RULES } } as const;
    await expect(own.run([pack], job, () => undefined)).rejects.toMatchObject({
      code: 'unsupported_feature',
      message: `Tiny WD ${problem} Choose another tagger.`,
    });
    await own.unload();
  });
});

describe('a caption model', () => {
  const captioner = { kind: 'captioner', model: 'tiny-captioner' } as const;

  it.each([
    [flat(255, 60, 0), 'a red image'],
    [flat(0, 200, 90), 'a green image'],
    [flat(0, 60, 250), 'a blue image'],
  ])('writes one token after the other until it ends', async (image, expected) => {
    const { text, tags } = await describeBy({ ...captioner, maxTokens: 20 }, image);
    expect([text, tags]).toEqual([expected, []]);
  });

  it('may have nothing to say', async () => {
    expect((await describeBy({ ...captioner, maxTokens: 0 }, flat(255, 0, 0))).text).toBe('');
  });

  it('ends after so many tokens', async () => {
    expect((await describeBy({ ...captioner, maxTokens: 2 }, flat(255, 0, 0))).text).toBe('a red');
  });

  it('of four graphs is asked for a sentence or a paragraph', async () => {
    const florence = { kind: 'captioner', model: 'tiny-florence', maxTokens: 20 } as const;
    const extents = [undefined, 'sentence', 'details', 'paragraph'] as const;
    const texts: string[] = [];
    for (const extent of extents)
      texts.push((await describeBy({ ...florence, ...(extent && { extent }) }, flat(0, 200, 90))).text);
    expect(texts).toEqual([...Array<string>(3).fill('a green image'), 'a green image detail']);
    expect((await describeBy({ ...florence, maxTokens: 2 }, flat(255, 0, 0))).text).toBe('a red');
  });

  it('of four graphs is refused where one is another’s', async () => {
    const { pack, files } = florencePack();
    const { 'vision_encoder.onnx': other = new Blob() } = files;
    const own = visionEngine([{ pack, files: { ...files, 'encoder_model.onnx': other } }]);
    const describer = { kind: 'captioner', model: pack.id, maxTokens: 5 } as const;
    const job = { task: 'describe', image: flat(255, 0, 0), describer } as const;
    await expect(own.run([pack], job, () => undefined)).rejects.toMatchObject({
      code: expect.stringMatching(/integrity_failed|internal/) as string,
    });
    await own.unload();
  });

  it('of an unknown make is refused', async () => {
    await expect(
      describeBy({ kind: 'captioner', model: 'emoji-mini-describer', maxTokens: 5 }, flat(0, 0, 0)),
    ).rejects.toMatchObject({ code: 'unsupported_feature' });
  });
});

it('refuses a file that is no image', async () => {
  await expect(describeBy({ kind: 'built-in', as: 'prompt' }, new Blob(['x']))).rejects.toMatchObject({
    code: 'invalid_request',
  });
});
