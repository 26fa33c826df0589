import type { ClipTokenizer } from '#engine/tokenizers/clip.ts';

/** A textual inversion embedding: learned vectors that replace its name in the prompt. */
export interface Embedding {
  name: string;
  /** Distinguishes it from another of the same name. */
  key: string;
  /** Rows, which are the tokens it takes up. */
  count: number;
  /** For each text encoder, `count` rows of the encoder's width. */
  vectors: readonly Float32Array[];
}

/** Installed embeddings by name. */
export type Embeddings = ReadonlyMap<string, Embedding>;

/** Finds the embedding whose name starts at a position of a token sequence. */
export type EmbeddingFinder = (
  ids: readonly number[],
  position: number,
) => { embedding: Embedding; length: number } | undefined;

/**
 * A1111's way of finding embeddings: by the tokens of their names, the longest name first
 * (textual_inversion.py, `find_embedding_at_position`).
 */
export function createEmbeddingFinder(embeddings: Embeddings, tokenizer: ClipTokenizer): EmbeddingFinder {
  const byFirstToken = new Map<number, { embedding: Embedding; name: number[] }[]>();
  for (const embedding of embeddings.values()) {
    const name = tokenizer.encode(embedding.name);
    const [first] = name;
    if (first === undefined) continue;
    const candidates = byFirstToken.get(first) ?? [];
    candidates.push({ embedding, name });
    byFirstToken.set(
      first,
      candidates.sort((a, b) => b.name.length - a.name.length),
    );
  }
  return (ids, position) => {
    const candidates = byFirstToken.get(ids[position] ?? -1);
    const found = candidates?.find(({ name }) => name.every((id, i) => ids[position + i] === id));
    return found && { embedding: found.embedding, length: found.name.length };
  };
}
