import 'fake-indexeddb/auto';
import { expect, test } from 'vitest';
import { createEngine } from '#engine/engine.ts';
import { packs } from '#library/packs/index.ts';
import { openEncodedChunks } from '#storage/encoded-chunks.ts';
import { textToImage } from '../../../support/jobs.ts';
import { EMOJI_MINI, openNodeRuntime, readFrom } from '../../../support/node-engine.ts';
import { runToEnd } from '../../../support/tiny-packs.ts';

/* Texts that an earlier visit has encoded: the text encoder is not even loaded. */

const pack = packs['emoji-mini'];

/**
 * An engine as after opening the app, and how many networks it has loaded.
 * @param failing whether its device makes no numbers of texts
 */
function visit(failing = false) {
  let loaded = 0;
  const engine = createEngine(
    async () => {
      const runtime = await openNodeRuntime();
      return {
        ...runtime,
        async createSession(...given) {
          loaded++;
          const session = await runtime.createSession(...given);
          if (!failing || !session.inputNames.includes('input_ids')) return session;
          return {
            ...session,
            async run(inputs) {
              const outputs = await session.run(inputs);
              for (const { data } of Object.values(outputs)) data.fill(NaN);
              return outputs;
            },
          };
        },
      };
    },
    () => readFrom(EMOJI_MINI),
    openEncodedChunks(),
  );
  return {
    loaded: () => loaded,
    async generate(prompt: string, clipSkip = 1) {
      const job = textToImage({ prompt, steps: 1, seeds: [5n] });
      const asked = { ...job, promptOptions: { ...job.promptOptions, clipSkip } };
      return runToEnd(engine, [pack], asked);
    },
    end: () => engine.unload(),
  };
}

test('the next visit gives the same image without a text encoder, and loads it for another text', async () => {
  const first = visit();
  const { pngs } = await first.generate('red apple');
  expect(first.loaded()).toBe(3);
  await first.end();

  const second = visit();
  expect((await second.generate('red apple')).pngs).toEqual(pngs);
  expect(second.loaded()).toBe(2);
  expect((await second.generate('green apple')).pngs).not.toEqual(pngs);
  expect(second.loaded()).toBe(3);
  await second.end();
});

test('clip skip is a text of its own', async () => {
  const first = visit();
  const plain = await first.generate('pizza');
  const skipped = await first.generate('pizza', 2);
  await first.end();
  expect(skipped.pngs).not.toEqual(plain.pngs);

  const second = visit();
  expect((await second.generate('pizza', 2)).pngs).toEqual(skipped.pngs);
  expect(second.loaded()).toBe(2);
  await second.end();
});

test('what a failing device made of a text is not kept', async () => {
  const first = visit(true);
  await expect(first.generate('frog')).rejects.toThrow();
  await first.end();

  const second = visit();
  expect((await second.generate('frog')).pngs).toHaveLength(1);
  expect(second.loaded()).toBe(3);
  await second.end();
});
