import { describe, expect, it } from 'vitest';
import type { PromptOptions } from '#protocol/job.ts';
import type { Embeddings } from '#engine/text/embeddings.ts';
import { planPrompt, type PromptPlan, type PromptRequest } from '#engine/text/plan.ts';
import { loadClipTokenizer } from '../../../support/clip-tokenizer.ts';
import { readFixture } from '../../../support/fixtures.ts';

const tokenizer = loadClipTokenizer();
const goldens = readFixture('tokens.json') as { prompt: string; padded77: number[] }[];

const options: PromptOptions = {
  syntax: 'a1111',
  emphasis: 'original',
  clipSkip: 1,
  commaPaddingBacktrack: 20,
};

function plan(
  text: string | string[],
  changes: Partial<PromptOptions> &
    Partial<Pick<PromptRequest, 'steps' | 'firstPassSteps' | 'negativeTexts'>> = {},
  embeddings: Embeddings = new Map(),
): PromptPlan {
  const { steps = 10, firstPassSteps, negativeTexts = [''], ...optionChanges } = changes;
  return planPrompt(
    {
      texts: typeof text === 'string' ? [text] : text,
      negativeTexts,
      options: { ...options, ...optionChanges },
      steps,
      ...(firstPassSteps !== undefined && { firstPassSteps }),
    },
    tokenizer,
    embeddings,
  );
}

describe('plain prompts', () => {
  it.each(goldens)('are one padded chunk: $prompt', ({ prompt, padded77 }) => {
    const [part] = plan(prompt, { syntax: 'plain' }).positive;
    const [chunk, ...further] = part?.schedule[0]?.encoding[0] ?? [];
    expect([...(chunk?.ids ?? [])]).toEqual(padded77);
    expect(further).toEqual([]);
  });

  it('say what they leave out', () => {
    const text = `${'word '.repeat(75)}and (this: too)`;
    expect(plan(text, { syntax: 'plain' }).notes).toEqual([
      { kind: 'truncated', text, dropped: 'and ( this : too )' },
    ]);
  });

  it('take embeddings by their names, and leave out what no longer fits', () => {
    const zoo = { name: 'zoo', key: 'zoo', count: 70, vectors: [new Float32Array(70 * 4)] };
    const text = 'a zoo of zoo';
    const { positive, notes } = plan(text, { syntax: 'plain' }, new Map([['zoo', zoo]]));
    const [chunk] = positive[0]?.schedule[0]?.encoding[0] ?? [];
    expect(chunk?.embeddings).toEqual([{ offset: 2, embedding: zoo }]);
    const [a, of] = ['a', 'of'].map((word) => tokenizer.encode(word)[0]);
    expect([...(chunk?.ids ?? [])].slice(0, 75)).toEqual([
      tokenizer.startId,
      a,
      ...new Array<number>(70).fill(0),
      of,
      tokenizer.endId,
      tokenizer.padId,
    ]);
    expect(notes).toEqual([{ kind: 'truncated', text, dropped: 'zoo' }]);
  });

  it('have no syntax', () => {
    const { positive, emphasis, extraNetworks } = plan('(a) [b:c:2] <lora:x:1> AND d', { syntax: 'plain' });
    expect(positive).toHaveLength(1);
    expect(positive[0]?.schedule).toHaveLength(1);
    expect(emphasis).toBe('none');
    expect(extraNetworks).toEqual([]);
  });
});

describe("A1111's prompts", () => {
  it('take turns, with equally many chunks each', () => {
    const schedule = plan(`[${'cat '.repeat(80)}:dog:4]`).positive[0]?.schedule;
    expect(schedule?.map(({ until, encoding }) => [until, encoding[0]?.length])).toEqual([
      [4, 2],
      [10, 2],
    ]);
  });

  it('are composed with AND, the negative one is not', () => {
    const { positive, negative } = plan('cat :0.7 AND dog', { negativeTexts: ['fog AND rain'] });
    expect(positive.map(({ weight }) => weight)).toEqual([0.7, 1]);
    expect(negative[0]?.encoding[0]?.[0]?.ids[2]).toBe(tokenizer.encode('and')[0]);
  });

  it('hand extra networks on', () => {
    const { extraNetworks, positive } = plan('cat<lora:film:0.8>');
    expect(extraNetworks).toEqual([{ kind: 'lora', positional: ['film', '0.8'], named: {} }]);
    expect(positive[0]?.schedule[0]?.encoding[0]?.[0]?.ids[2]).toBe(tokenizer.endId);
  });

  it('read brackets as the emphasis option says', () => {
    const lengthAndWeight = (emphasis: PromptOptions['emphasis']) => {
      const { positive, emphasis: mode } = plan('(cat:1.5)', { emphasis });
      const chunk = positive[0]?.schedule[0]?.encoding[0]?.[0];
      return [mode, chunk?.ids.indexOf(tokenizer.endId), chunk?.weights[1]];
    };
    expect(lengthAndWeight('original')).toEqual(['multiply-keep-mean', 2, 1.5]);
    expect(lengthAndWeight('no-norm')).toEqual(['multiply', 2, 1.5]);
    expect(lengthAndWeight('ignore')).toEqual(['none', 2, 1.5]);
    expect(lengthAndWeight('none')).toEqual(['none', 1 + tokenizer.encode('(cat:1.5)').length, 1]);
  });

  it('are read for the hires pass too', () => {
    const ends = (firstPassSteps?: number) =>
      plan('[a:b:1.5]', firstPassSteps === undefined ? {} : { firstPassSteps }).positive[0]?.schedule.map(
        ({ until }) => until,
      );
    expect(ends()).toEqual([10]);
    expect(ends(20)).toEqual([5, 10]);
  });

  it('are one text', () => {
    expect(() => plan(['cat', 'dog'])).toThrow(/cannot be split/);
  });
});

describe("Fooocus's prompts", () => {
  it('are encoded text by text and joined', () => {
    const { positive, negative, emphasis } = plan(['a (cat:1.2)', 'cinematic'], { syntax: 'fooocus' });
    expect(positive[0]?.schedule[0]?.encoding.map((chunks) => chunks.length)).toEqual([1, 1]);
    expect(negative[0]?.encoding).toHaveLength(1);
    expect(emphasis).toBe('from-empty');
  });

  it('name embeddings that are not installed', () => {
    expect(plan('embedding:easy, cat', { syntax: 'fooocus' }).notes).toEqual([
      { kind: 'unknown-embedding', name: 'easy' },
    ]);
  });
});
