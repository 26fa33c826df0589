import { CHUNK_CONTENT, type ClipTokenizer } from '#engine/tokenizers/clip.ts';
import type { WeightedText } from './attention.ts';
import { emptyContent, sealChunk, type PromptChunk } from './chunk.ts';
import type { Embedding, Embeddings } from './embeddings.ts';

/** Words of fewer tokens are moved to the next chunk rather than cut. */
const LONG_WORD = 8;
const EMBEDDING_PREFIX = 'embedding:';

/**
 * Cuts a text into chunks word by word. `embedding:name` stands for an embedding; names that are not installed are
 * handed back. Source: ComfyUI comfy/sd1_clip.py, `SDTokenizer.tokenize_with_weights`, as Fooocus ships it.
 */
export function chunkFooocusText(
  text: string,
  tokenizer: ClipTokenizer,
  embeddings: Embeddings,
): { chunks: PromptChunk[]; unknown: string[] } {
  const chunks: PromptChunk[] = [];
  const unknown: string[] = [];
  let content = emptyContent();
  const close = (): void => {
    chunks.push(sealChunk(content, tokenizer));
    content = emptyContent();
  };
  const room = (): number => CHUNK_CONTENT - content.ids.length;

  const addTokens = (ids: readonly number[], weight: number): void => {
    const long = ids.length >= LONG_WORD;
    let rest = ids;
    while (rest.length > room()) {
      if (long) {
        const fitting = room();
        append(rest.slice(0, fitting), weight);
        rest = rest.slice(fitting);
      }
      close();
    }
    append(rest, weight);
  };
  const append = (ids: readonly number[], weight: number): void => {
    content.ids.push(...ids);
    for (let i = 0; i < ids.length; i++) content.weights.push(weight);
  };
  const addEmbedding = (embedding: Embedding, weight: number): void => {
    const count = Math.min(embedding.count, CHUNK_CONTENT);
    if (count > room()) close();
    content.embeddings.push({ offset: content.ids.length, embedding });
    append(new Array<number>(count).fill(0), weight);
  };

  for (const { text: piece, weight } of parseFooocusAttention(text)) {
    for (const word of piece.split(/[\n ]/).filter((each) => each !== '')) {
      if (!word.startsWith(EMBEDDING_PREFIX)) {
        addTokens(tokenizer.encode(word), weight);
        continue;
      }
      const name = word.slice(EMBEDDING_PREFIX.length);
      const bare = name.replace(/^,+|,+$/g, '');
      const embedding = embeddings.get(name) ?? embeddings.get(bare);
      if (embedding) addEmbedding(embedding, weight);
      else unknown.push(bare);
      const leftover = embeddings.has(name) ? '' : name.slice(bare.length);
      if (leftover !== '') addTokens(tokenizer.encode(leftover), weight);
    }
  }
  close();
  return { chunks, unknown };
}

/** Placeholders for escaped brackets while the others are read, as in the reference. */
const ESCAPED_CLOSE = '\0\x01';
const ESCAPED_OPEN = '\0\x02';
const MAX_DEPTH = 200;
const NUMBER = /^\s*[+-]?(?:\d+(?:_\d+)*\.?(?:\d+(?:_\d+)*)?|\.\d+(?:_\d+)*)(?:[eE][+-]?\d+)?\s*$/;

/**
 * Splits a text into pieces of equal weight: `(x)` ×1.1, `(x:1.2)` sets the weight, nesting multiplies the former,
 * `\(` and `\)` are literal; there is no `[x]`. Source: ComfyUI comfy/sd1_clip.py, `token_weights`.
 */
export function parseFooocusAttention(text: string): WeightedText[] {
  const escaped = text.replaceAll('\\)', ESCAPED_CLOSE).replaceAll('\\(', ESCAPED_OPEN);
  return weigh(escaped, 1, 0).map((piece) => ({
    text: piece.text.replaceAll(ESCAPED_CLOSE, ')').replaceAll(ESCAPED_OPEN, '('),
    weight: piece.weight,
  }));
}

function weigh(text: string, weight: number, depth: number): WeightedText[] {
  return splitBrackets(text).flatMap((piece) => {
    if (piece.length < 2 || !piece.startsWith('(') || !piece.endsWith(')') || depth === MAX_DEPTH) {
      return [{ text: piece, weight }];
    }
    const inner = piece.slice(1, -1);
    const colon = inner.lastIndexOf(':');
    const explicit = inner.slice(colon + 1);
    return colon > 0 && NUMBER.test(explicit)
      ? weigh(inner.slice(0, colon), Number(explicit.replaceAll('_', '')), depth + 1)
      : weigh(inner, weight * 1.1, depth + 1);
  });
}

/** Cuts around outermost brackets; what is left open reaches to the end. */
function splitBrackets(text: string): string[] {
  const pieces: string[] = [];
  let level = 0;
  let start = 0;
  for (let at = 0; at < text.length; at++) {
    if (text[at] === '(') {
      if (level === 0 && at > start) {
        pieces.push(text.slice(start, at));
        start = at;
      }
      level++;
    } else if (text[at] === ')') {
      level--;
      if (level === 0) {
        pieces.push(text.slice(start, at + 1));
        start = at + 1;
      }
    }
  }
  if (start < text.length) pieces.push(text.slice(start));
  return pieces;
}
