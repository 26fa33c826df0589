import { CHUNK_CONTENT, CHUNK_LENGTH, type ClipTokenizer } from '#engine/tokenizers/clip.ts';
import type { Embedding, EmbeddingFinder } from './embeddings.ts';

/** One run of the text encoder. */
export interface PromptChunk {
  /** {@link CHUNK_LENGTH} token ids: start, text, end, padding. */
  ids: Int32Array<ArrayBuffer>;
  /** The emphasis of each token; 1 for start, end and padding. */
  weights: Float32Array;
  /** Vectors that replace the token embeddings from `offset` on. */
  embeddings: readonly PlacedEmbedding[];
}

/** An embedding within a chunk. */
export interface PlacedEmbedding {
  /** Index into the chunk's ids of the first token it replaces. */
  offset: number;
  embedding: Embedding;
}

/** The text part of a chunk in the making: at most {@link CHUNK_CONTENT} tokens. */
export interface ChunkContent {
  ids: number[];
  weights: number[];
  /** Offsets count from the first token of text. */
  embeddings: PlacedEmbedding[];
}

/** A chunk without text. */
export function emptyContent(): ChunkContent {
  return { ids: [], weights: [], embeddings: [] };
}

/** Frames up to {@link CHUNK_CONTENT} tokens of text with start and end and pads them. */
export function sealChunk(content: ChunkContent, tokenizer: ClipTokenizer): PromptChunk {
  const ids = new Int32Array(CHUNK_LENGTH).fill(tokenizer.padId);
  ids[0] = tokenizer.startId;
  ids.set(content.ids, 1);
  ids[content.ids.length + 1] = tokenizer.endId;
  const weights = new Float32Array(CHUNK_LENGTH).fill(1);
  weights.set(content.weights, 1);
  const embeddings = content.embeddings.map(({ offset, embedding }) => ({ offset: offset + 1, embedding }));
  return { ids, weights, embeddings };
}

/**
 * A chunk's ids padded as another text encoder wants it; what stands before the end of the text stays.
 *
 * @param tokenizer the one that sealed the chunk
 */
export function repadIds(
  ids: Int32Array<ArrayBuffer>,
  tokenizer: ClipTokenizer,
  padId: number,
): Int32Array<ArrayBuffer> {
  let end = ids.length - 1;
  while (
    ids[end] === tokenizer.padId &&
    (ids[end - 1] === tokenizer.padId || ids[end - 1] === tokenizer.endId)
  )
    end--;
  return ids.slice().fill(padId, end + 1);
}

/** What equal chunks share: the text encoder gives the same for them. Weights do not matter to it. */
export function chunkKey(chunk: PromptChunk): string {
  const names = chunk.embeddings.map(({ offset, embedding }) => `${offset}:${embedding.key}`);
  return `${chunk.ids.join(' ')}|${names.join('|')}`;
}

/**
 * A text taken literally, as diffusers reads it: no syntax, one chunk. What does not fit is cut off and handed back
 * so that it can be reported.
 */
export function chunkPlainText(
  text: string,
  tokenizer: ClipTokenizer,
  findEmbedding: EmbeddingFinder = () => undefined,
): { chunk: PromptChunk; dropped: string } {
  const ids = tokenizer.encode(text);
  const content = emptyContent();
  let position = 0;
  while (position < ids.length) {
    const found = findEmbedding(ids, position);
    const own = found ? new Array<number>(found.embedding.count).fill(0) : ids.slice(position, position + 1);
    if (content.ids.length + own.length > CHUNK_CONTENT) break;
    if (found) content.embeddings.push({ offset: content.ids.length, embedding: found.embedding });
    content.ids.push(...own);
    content.weights.push(...own.map(() => 1));
    position += found?.length ?? 1;
  }
  return { chunk: sealChunk(content, tokenizer), dropped: tokenizer.decode(ids.slice(position)) };
}
