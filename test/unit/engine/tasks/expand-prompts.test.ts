import { afterAll, describe, expect, it } from 'vitest';
import { readPngText } from '#codecs/png-text.ts';
import { decodePng } from '#codecs/png.ts';
import type { GenerateJob } from '#protocol/job.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { expansionOf, type PromptExpansion } from '#protocol/prompt-expansion.ts';
import { jobFrom } from '../../../support/init-engine.ts';
import { tinyModel } from '../../../support/tiny-control.ts';
import { engineFor, runToEnd, type FilledPack } from '../../../support/tiny-packs.ts';
import {
  forgetfulTextGenerator,
  textGeneratorPack,
  WORD_LIST,
} from '../../../support/tiny-text-generator.ts';

const model = await tinyModel();
const generators = [
  textGeneratorPack(WORD_LIST, 'listed'),
  textGeneratorPack(
    { 'decoder_model_merged.onnx': undefined, 'decoder_model.onnx': forgetfulTextGenerator(), ...WORD_LIST },
    'forgetful',
  ),
  textGeneratorPack({}, 'free'),
  textGeneratorPack(
    { ...WORD_LIST, 'config.json': JSON.stringify({ eos_token_id: 0, n_positions: 4 }) },
    'narrow',
  ),
];
const engine = engineFor([model, ...generators]);
afterAll(() => engine.unload());

const base = jobFrom({ from: 'noise' }, { steps: 1 });

/** The job's only image, its prompt continued by a generator. */
function job(
  id: string,
  { text = 'a cat', seed = 1n, as = 'more' }: Partial<Omit<PromptExpansion, 'seed'> & { seed: bigint }> = {},
): GenerateJob {
  const images = base.images.map((image) => ({
    ...image,
    prompt: ['a cat'],
    expansion: expansionOf(id, text, seed, as),
  }));
  return { ...base, images };
}

async function promptOf(asked: GenerateJob, packs: readonly FilledPack<AddOnPack>[] = generators) {
  const { images } = await runToEnd(engine, [model.pack, ...packs.map(({ pack }) => pack)], asked);
  return images[0]?.prompt ?? [];
}

describe('a text generator goes on with a prompt', () => {
  it('in the words of its list, each once, in an order that the seed decides', async () => {
    const orders = new Set<string>();
    for (let seed = 0n; seed < 4n; seed++) {
      const [own, expanded = ''] = await promptOf(job('listed', { seed }));
      expect(own).toBe('a cat');
      const [text, ...added] = expanded.split(/[, ]*,[, ]*| (?=golden|shiny|vivid)/);
      expect(text).toBe('a cat');
      expect([...added].sort()).toEqual(['golden', 'shiny', 'vivid']);
      orders.add(added.join());
      expect(await promptOf(job('listed', { seed }))).toEqual([own, expanded]);
    }
    expect(orders.size).toBeGreaterThan(1);
  });

  it('in the same words where it remembers nothing', async () => {
    expect(await promptOf(job('forgetful'))).toEqual(await promptOf(job('listed')));
  });

  it('in any words but brackets and line ends where it has no list, until it ends', async () => {
    const [expanded = '', ...more] = await promptOf(job('free', { as: 'instead' }));
    expect(more).toEqual([]);
    expect(expanded).toMatch(/^a cat,[a-z ,]* ugly$/);
  });

  it('changes the image', async () => {
    const installed = [model.pack, ...generators.map(({ pack }) => pack)];
    const [plain, expanded] = [
      await runToEnd(engine, installed, base),
      await runToEnd(engine, installed, job('listed')),
    ].map(({ pngs }) => decodePng(pngs[0] ?? new Uint8Array()).data);
    expect(expanded).not.toEqual(plain);
  });

  it('stands in the texts of the file, as JSON between quotes', async () => {
    const texts = [{ parameters: '{"expansion": "{prompt expansion}"} {prompt expansion}' }];
    const asked = job('listed', { text: 'a "cät"' });
    const { pngs } = await runToEnd(engine, [model.pack, ...generators.map(({ pack }) => pack)], {
      ...asked,
      output: { ...asked.output, texts },
    });
    const { parameters } = await readPngText(pngs[0] ?? new Uint8Array());
    expect(parameters).toMatch(/^\{"expansion": "a \\"c\\u00e4t\\",? [a-z, ]+"\} a "cät",? [a-z, ]+$/);
  });

  it('as far as it can read', async () => {
    const [, expanded = ''] = await promptOf(job('narrow'));
    expect(expanded).toMatch(/^a cat,? (?:golden|shiny|vivid)$|^a cat$/);
    // What is longer than it can read stays as it is.
    const text = 'a cat,a cat,a';
    expect(await promptOf(job('narrow', { text }))).toEqual(['a cat', text]);
  });

  it('nothing comes of nothing', async () => {
    expect(await promptOf(job('listed', { text: ' , ' }))).toEqual(['a cat']);
  });
});

describe('a text generator is refused', () => {
  it.each<[string, Parameters<typeof textGeneratorPack>[0], string]>([
    ['that is no tokenizer', { 'tokenizer.json': '{"model": 7}' }, 'integrity_failed'],
    ['that is no JSON', { 'tokenizer.json': '\u0000\u0001' }, 'integrity_failed'],
    ['without a tokenizer', { 'tokenizer.json': undefined }, 'model_not_found'],
    ['of an empty tokenizer', { 'tokenizer.json': '{}' }, 'integrity_failed'],
    ['of a damaged graph', { 'decoder_model_merged.onnx': new Uint8Array(64) }, 'integrity_failed'],
    ['without a graph', { 'decoder_model_merged.onnx': undefined }, 'model_not_found'],
  ])('%s', async (_, changes, code) => {
    const broken = textGeneratorPack(changes, 'broken');
    const own = engineFor([model, broken]);
    await expect(runToEnd(own, [model.pack, broken.pack], job('broken'))).rejects.toMatchObject({ code });
    await own.unload();
  });

  it('that is not installed', async () => {
    await expect(promptOf(job('gone'))).rejects.toMatchObject({
      code: 'model_not_found',
      message:
        'The prompt expansion model “gone” is not installed. Install it in Models, or leave the prompt expansion out.',
    });
  });
});
