import { buildEmojiTextEncoder } from '#engine/architectures/emoji-mini.ts';
import type { ClipTokenizer } from '#engine/tokenizers/clip.ts';
import { readFloat32 } from '#weights/casts.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import { openGraph } from '../../support/onnx-session.ts';

/** Texts are this long at most; the encoder looks back only, so that what follows a text's end has no part in it. */
const LENGTHS = [9, 24];
const BATCH = 64;

/** The encoder for texts of so many tokens, start and end included. */
async function openEncoder(weights: TensorSource, tokens: number) {
  const [, width = 0] = weights.info('pos')?.shape ?? [];
  const positions = (await readFloat32(weights, 'pos')).slice(0, tokens * width);
  const shortened: TensorSource = {
    names: () => weights.names(),
    info: (name) => (name === 'pos' ? { name, type: 'float32', shape: [tokens, width] } : weights.info(name)),
    read: (name) =>
      name === 'pos' ? Promise.resolve(new Uint8Array(positions.slice().buffer)) : weights.read(name),
  };
  const graph = buildEmojiTextEncoder({}, { weights: shortened, outputs: ['text_embeds'] });
  return openGraph(graph, shortened, {});
}

/** `text_embeds` of each text. @throws where a text is too long */
export async function embedTexts(
  weights: TensorSource,
  tokenizer: ClipTokenizer,
  texts: readonly string[],
): Promise<Float32Array[]> {
  const embedded = texts.map(() => new Float32Array());
  const waiting = texts.map((text, index) => ({ index, ids: tokenizer.encode(text) }));
  for (const [step, tokens] of LENGTHS.entries()) {
    const shortest = LENGTHS[step - 1] ?? 0;
    const fitting = waiting.filter(({ ids }) => ids.length + 2 <= tokens && ids.length + 2 > shortest);
    if (fitting.length === 0) continue;
    const encoder = await openEncoder(weights, tokens);
    for (let at = 0; at < fitting.length; at += BATCH) {
      const part = fitting.slice(at, at + BATCH);
      const ids = new Int32Array(part.length * tokens).fill(tokenizer.endId);
      for (const [row, text] of part.entries()) ids.set([tokenizer.startId, ...text.ids], row * tokens);
      const { text_embeds: rows } = await encoder.run({
        input_ids: { data: ids, shape: [part.length, tokens] },
      });
      const width = (rows?.data.length ?? 0) / part.length;
      for (const [row, { index }] of part.entries())
        embedded[index] = rows?.data.slice(row * width, (row + 1) * width) ?? new Float32Array();
    }
    await encoder.release();
  }
  const tooLong = texts.find((_, index) => embedded[index]?.length === 0);
  if (tooLong !== undefined) throw new Error(`“${tooLong}” is too long.`);
  return embedded;
}
