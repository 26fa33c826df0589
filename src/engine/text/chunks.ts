import { CHUNK_CONTENT, type ClipTokenizer } from '#engine/tokenizers/clip.ts';
import { isBreak, type WeightedText } from './attention.ts';
import { emptyContent, sealChunk, type ChunkContent, type PromptChunk } from './chunk.ts';
import type { EmbeddingFinder } from './embeddings.ts';

/**
 * Cuts a prompt into as many chunks as it needs, at least one. A chunk that would overflow is cut after its last
 * comma if that is within `commaBacktrack` tokens; `BREAK` closes a chunk; embeddings are never cut.
 * Source: A1111 modules/sd_hijack_clip.py, `tokenize_line`.
 *
 * @param commaBacktrack tokens; 0 cuts where the chunk is full
 */
export function chunkPrompt(
  pieces: readonly WeightedText[],
  tokenizer: ClipTokenizer,
  findEmbedding: EmbeddingFinder,
  commaBacktrack: number,
): PromptChunk[] {
  const chunks: PromptChunk[] = [];
  let content = emptyContent();
  let lastComma = -1;
  const close = (): void => {
    chunks.push(sealChunk(content, tokenizer));
    content = emptyContent();
    lastComma = -1;
  };

  for (const piece of pieces) {
    if (isBreak(piece)) {
      close();
      continue;
    }
    const ids = tokenizer.encode(piece.text);
    for (let position = 0; position < ids.length;) {
      const id = ids[position] ?? tokenizer.endId;
      const full = content.ids.length === CHUNK_CONTENT;
      if (id === tokenizer.commaId) {
        lastComma = content.ids.length;
      } else if (full && lastComma !== -1 && content.ids.length - lastComma <= commaBacktrack) {
        const moved = splitOff(content, lastComma + 1);
        close();
        content = moved;
      }
      if (content.ids.length === CHUNK_CONTENT) close();

      const found = findEmbedding(ids, position);
      if (!found) {
        content.ids.push(id);
        content.weights.push(piece.weight);
        position += 1;
        continue;
      }
      const { embedding, length } = found;
      const count = Math.min(embedding.count, CHUNK_CONTENT);
      if (content.ids.length + count > CHUNK_CONTENT) close();
      content.embeddings.push({ offset: content.ids.length, embedding });
      for (let i = 0; i < count; i++) {
        content.ids.push(0);
        content.weights.push(piece.weight);
      }
      position += length;
    }
  }
  if (content.ids.length > 0 || chunks.length === 0) close();
  return chunks;
}

/** Takes the tokens from `start` on out of a chunk, embeddings among them included. */
function splitOff(content: ChunkContent, start: number): ChunkContent {
  const moved = content.embeddings.filter(({ offset }) => offset >= start);
  content.embeddings = content.embeddings.filter(({ offset }) => offset < start);
  return {
    ids: content.ids.splice(start),
    weights: content.weights.splice(start),
    embeddings: moved.map(({ offset, embedding }) => ({ offset: offset - start, embedding })),
  };
}
