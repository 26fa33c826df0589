import { describe, expect, it } from 'vitest';
import {
  cacheChunks,
  encodePrompt,
  padContext,
  type Context,
  type EncodeChunk,
  type EncodedPrompt,
} from '#engine/text/encode.ts';
import { planPrompt, type PromptPlan } from '#engine/text/plan.ts';
import type { PromptOptions } from '#protocol/job.ts';
import { loadClipTokenizer } from '../../../support/clip-tokenizer.ts';

const tokenizer = loadClipTokenizer();
const WIDTH = 2;
const CAT = tokenizer.encode('cat')[0];
const DOG = tokenizer.encode('dog')[0];

/** A text encoder that tells ids and places apart: [id, place] for each token. */
function createEncoder(): { encode: EncodeChunk; runs: () => number } {
  let runs = 0;
  return {
    encode: ({ ids }) => {
      runs++;
      const hidden = Float32Array.from({ length: ids.length * WIDTH }, (_, i) =>
        i % WIDTH === 0 ? (ids[i / WIDTH] ?? 0) : (i - 1) / WIDTH,
      );
      return Promise.resolve({ hidden, pooled: Float32Array.of(ids[1] ?? 0) });
    },
    runs: () => runs,
  };
}

function plan(texts: string[], syntax: PromptOptions['syntax'] = 'a1111', negative = ''): PromptPlan {
  return planPrompt(
    {
      texts,
      negativeTexts: [negative],
      options: { syntax, emphasis: 'original', clipSkip: 1, commaPaddingBacktrack: 20 },
      steps: 10,
    },
    tokenizer,
    new Map(),
  );
}

async function encode(planned: PromptPlan): Promise<{ prompt: EncodedPrompt; runs: number }> {
  const { encode, runs } = createEncoder();
  return { prompt: await encodePrompt(planned, cacheChunks(encode)), runs: runs() };
}

/** The id the encoder above saw at a place of the context. */
function idAt({ data, width }: Context, token: number): number | undefined {
  return data[token * width];
}

describe('encodePrompt', () => {
  it('gives a plain prompt as 77 tokens', async () => {
    const { prompt } = await encode(plan(['cat'], 'plain', 'dog'));
    const { positive, negative } = prompt.conditioningAt(0);
    expect(positive).toHaveLength(1);
    expect(positive[0]).toMatchObject({ weight: 1, context: { tokens: 77, width: WIDTH } });
    expect(positive[0] && idAt(positive[0].context, 1)).toBe(CAT);
    expect(idAt(negative, 1)).toBe(DOG);
  });

  it('changes with the call, and gives the same object while it does not', async () => {
    const { prompt } = await encode(plan(['[cat:dog:3]']));
    const ids = Array.from({ length: 10 }, (_, call) => {
      const [part] = prompt.conditioningAt(call).positive;
      return part && idAt(part.context, 1);
    });
    expect(ids).toEqual([CAT, CAT, CAT, CAT, DOG, DOG, DOG, DOG, DOG, DOG]);
    expect(prompt.conditioningAt(0)).toBe(prompt.conditioningAt(3));
    expect(prompt.conditioningAt(3)).not.toBe(prompt.conditioningAt(4));
  });

  it('encodes equal chunks once', async () => {
    const { prompt, runs } = await encode(plan(['[cat|dog]'], 'a1111', 'cat'));
    expect(runs).toBe(2);
    expect(prompt.conditioningAt(2)).toBe(prompt.conditioningAt(4));
  });

  it('evens out the parts of a composition', async () => {
    const { prompt } = await encode(plan([`cat AND ${'dog '.repeat(80)}`]));
    const { positive, negative } = prompt.conditioningAt(0);
    expect(positive.map(({ context }) => context.tokens)).toEqual([154, 154]);
    expect(negative.tokens).toBe(77);
    const [first] = positive;
    expect(first && idAt(first.context, 153)).toBe(tokenizer.endId);
  });

  it('joins the texts of Fooocus and adds up their pooled outputs', async () => {
    const { prompt } = await encode(plan(['cat', 'dog'], 'fooocus'));
    const [part] = prompt.conditioningAt(9).positive;
    expect(part?.context.tokens).toBe(154);
    expect(part && [idAt(part.context, 1), idAt(part.context, 78)]).toEqual([CAT, DOG]);
    expect(part?.context.pooled?.[0]).toBe((CAT ?? 0) + (DOG ?? 0));
    // What a text generator adds is read, but has no say in the pooled output.
    const added = await encode({ ...plan(['cat', 'dog'], 'fooocus', 'dog'), pooledTexts: 1 });
    const { positive, negative } = added.prompt.conditioningAt(9);
    expect(positive[0]?.context.tokens).toBe(154);
    expect([positive[0]?.context.pooled?.[0], negative.pooled?.[0]]).toEqual([CAT, DOG]);
  });

  it('applies emphasis, and leaves what is cached alone', async () => {
    const { encode: run } = createEncoder();
    const encodeChunk = cacheChunks(run);
    const weighted = await encodePrompt(plan(['(cat:2)']), encodeChunk);
    const plain = await encodePrompt(plan(['cat']), encodeChunk);
    const ratio = (prompt: EncodedPrompt) => {
      const [part] = prompt.conditioningAt(0).positive;
      return part && (idAt(part.context, 1) ?? 0) / (idAt(part.context, 0) ?? 0);
    };
    expect((ratio(weighted) ?? 0) / (ratio(plain) ?? 1)).toBeCloseTo(2, 5);
    const [part] = plain.conditioningAt(0).positive;
    expect(part && idAt(part.context, 1)).toBe(CAT);
  });

  it('weighs Fooocus texts from the empty prompt', async () => {
    const { prompt } = await encode(plan(['(cat:0)'], 'fooocus'));
    const [part] = prompt.conditioningAt(0).positive;
    // A weight of 0 is the empty prompt: start, end, end …
    expect(part && (idAt(part.context, 1) ?? 0) / (idAt(part.context, 0) ?? 1)).toBeCloseTo(49407 / 49406, 5);
  });

  it('forgets what failed', async () => {
    let attempts = 0;
    const { encode: run } = createEncoder();
    const encodeChunk = cacheChunks((chunk) => {
      attempts++;
      return attempts === 1 ? Promise.reject(new Error('device lost')) : run(chunk);
    });
    await expect(encodePrompt(plan(['cat']), encodeChunk)).rejects.toThrow('device lost');
    await expect(encodePrompt(plan(['cat']), encodeChunk)).resolves.toBeDefined();
  });
});

describe('padContext', () => {
  const context: Context = { data: Float32Array.of(1, 2, 3, 4), tokens: 2, width: 2, pooled: null };

  it('repeats the last vector', () => {
    expect(padContext(context, 4)).toMatchObject({
      tokens: 4,
      data: Float32Array.of(1, 2, 3, 4, 3, 4, 3, 4),
    });
  });

  it('cuts what is too long', () => {
    expect(padContext(context, 1)).toMatchObject({ tokens: 1, data: Float32Array.of(1, 2) });
    expect(padContext(context, 2)).toBe(context);
  });
});
