import { AppError } from '#protocol/error.ts';
import { families } from '#protocol/families.ts';
import { readFloat32 } from './casts.ts';
import type { Component } from './checkpoint.ts';
import type { TensorInfo, TensorSource } from './tensor-source.ts';

/** A learned word: vectors that stand for its tokens, for each text encoder. */
export interface TextualInversion {
  /** Tokens the word takes up. */
  tokens: number;
  vectors: ReadonlyMap<Component, { width: number; values: Float32Array }>;
}

/** Widths of embeddings of families with one text encoder. */
const SINGLE_ENCODER_WIDTHS: readonly number[] = Object.values(families).flatMap(({ textEncoders }) =>
  textEncoders.length === 1 ? textEncoders.map(({ width }) => width) : [],
);

/** The prompt's tokens that a text encoder reads at once, without start and end. */
const MAX_TOKENS = 75;

/** The tensors of a learned word and the text encoder of each, or undefined if the file contains something else. */
export function findTextualInversion(file: TensorSource): Map<Component, TensorInfo> | undefined {
  const names = [...file.names()];
  const clipL = file.info('clip_l');
  const clipG = file.info('clip_g');
  if (clipL && clipG && names.length === 2) {
    return new Map([
      ['text_encoder', clipL],
      ['text_encoder_2', clipG],
    ]);
  }
  // A1111 calls the tensor `emb_params`, diffusers calls it as the word.
  const [name, ...others] = names;
  const info = name === undefined || others.length > 0 ? undefined : file.info(name);
  if (!info || info.shape.length > 2 || info.shape.length === 0) return undefined;
  const width = info.shape.at(-1) ?? 0;
  const tokens = info.shape.length === 2 ? (info.shape[0] ?? 0) : 1;
  return SINGLE_ENCODER_WIDTHS.includes(width) && tokens <= MAX_TOKENS
    ? new Map([['text_encoder', info]])
    : undefined;
}

/**
 * Reads a textual inversion (Gal et al. 2022): one tensor `[tokens, width]` for SD 1.x and 2.x (`emb_params`, or
 * diffusers' own name for it), `clip_l` and `clip_g` for SDXL.
 *
 * @param name What errors call the file.
 * @throws AppError `invalid_request` if it is not one
 */
export async function readTextualInversion(file: TensorSource, name: string): Promise<TextualInversion> {
  const found = findTextualInversion(file);
  if (!found) throw new AppError('invalid_request', `${name} is not a textual inversion embedding.`);
  const vectors = new Map<Component, { width: number; values: Float32Array }>();
  const counts = new Set<number>();
  for (const [component, { name: tensor, shape }] of found) {
    const width = shape.at(-1) ?? 0;
    vectors.set(component, { width, values: await readFloat32(file, tensor) });
    counts.add(shape.length === 2 ? (shape[0] ?? 0) : 1);
  }
  const [tokens = 0, ...different] = counts;
  if (tokens === 0 || different.length > 0) {
    throw new AppError('invalid_request', `${name} has a different number of vectors for each text encoder.`);
  }
  return { tokens, vectors };
}
