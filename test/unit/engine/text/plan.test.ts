import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import type { PromptOptions } from '#protocol/job.ts';
import type { Embeddings } from '#engine/text/embeddings.ts';
import { planPrompt, type PromptPlan, type PromptRequest } from '#engine/text/plan.ts';
import { loadClipTokenizer } from '../../../support/clip-tokenizer.ts';

const tokenizer = loadClipTokenizer();
const goldens = JSON.parse(
  readFileSync(new URL('../../../fixtures/tokens.json', import.meta.url), 'utf8'),
) as {
  prompt: string;
  padded77: number[];
}[];

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

  it('have no syntax', () => {
    const { positive, emphasis, extraNetworks } = plan('(a) [b:c:2] <lora:x:1> AND d', { syntax: 'plain' });
    expect(positive).toHaveLength(1);
    expect(positive[0]?.schedule).toHaveLength(1);
    expect(emphasis).toBe('none');
    expect(extraNetworks).toEqual([]);
  });
});
