import type { EncodedChunk } from '#storage/encoded-chunks.ts';
import { AppError } from '#protocol/error.ts';
import { chunkKey, type PromptChunk } from './chunk.ts';
import {
  interpolateFromEmpty,
  multiplyKeepingMean,
  multiplyTokens,
  type EmphasisBatchEntry,
} from './emphasis.ts';
import type { Encoding, PromptPlan, PromptSchedule } from './plan.ts';

/** Runs the text encoder. */
export type EncodeChunk = (chunk: PromptChunk) => Promise<EncodedChunk>;

/** What the UNet attends to. */
export interface Context {
  /** [tokens, width] */
  data: Float32Array;
  tokens: number;
  width: number;
  /** The sum over the texts of the pooled output of their first chunk; null if the encoder has none. */
  pooled: Float32Array | null;
  /** Further conditioning of the UNet, by the names of its inputs: one vector each. */
  added?: Readonly<Record<string, Float32Array>>;
  /** What is given in its place from a timestep on downwards. */
  addedLate?: { from: number; added: Readonly<Record<string, Float32Array>> };
}

/** The contexts of one call of the denoiser. */
export interface Conditioning {
  /** Prediction = negative + guidance · Σ weight · (positive − negative). Equally many tokens each. */
  positive: readonly { context: Context; weight: number }[];
  /** May have another number of tokens than the positive ones; {@link padContext} evens them out. */
  negative: Context;
}

/** A prompt ready for the denoiser. */
export interface EncodedPrompt {
  /**
   * The conditioning of a call, counted from 0. Calls that share one get the same object. As in A1111, an entry that
   * ends at step n holds up to and including call n.
   */
  conditioningAt(call: number): Conditioning;
}

/**
 * Keeps the text encoder's output per chunk, so that prompts with chunks in common encode them once.
 * One per model and clip skip.
 */
export function cacheChunks(encodeChunk: EncodeChunk, capacity = 64): EncodeChunk {
  const cache = new Map<string, Promise<EncodedChunk>>();
  return (chunk) => {
    const key = chunkKey(chunk);
    const known = cache.get(key);
    if (known) return known;
    const encoded = encodeChunk(chunk);
    encoded.catch(() => cache.delete(key));
    cache.set(key, encoded);
    for (const oldest of cache.keys()) {
      if (cache.size <= capacity) break;
      cache.delete(oldest);
    }
    return encoded;
  };
}

/**
 * Encodes all that a plan asks for, one chunk at a time.
 *
 * @throws what `encodeChunk` throws
 */
export async function encodePrompt(plan: PromptPlan, encodeChunk: EncodeChunk): Promise<EncodedPrompt> {
  const negative = await encodeSchedule(plan, plan.negative, encodeChunk);
  const positive: { weight: number; contexts: ScheduledContext[] }[] = [];
  for (const { weight, schedule } of plan.positive) {
    positive.push({
      weight,
      contexts: await encodeSchedule(plan, schedule, encodeChunk, plan.pooledTexts),
    });
  }
  const known = new Map<string, Conditioning>();
  return {
    conditioningAt(call) {
      const chosen = positive.map(({ weight, contexts }) => ({ weight, entry: entryAt(contexts, call) }));
      const chosenNegative = entryAt(negative, call);
      const key = [...chosen.map(({ entry }) => entry.index), chosenNegative.index].join();
      const conditioning = known.get(key) ?? {
        positive: padToLongest(chosen.map(({ weight, entry }) => ({ weight, context: entry.context }))),
        negative: chosenNegative.context,
      };
      known.set(key, conditioning);
      return conditioning;
    },
  };
}

/**
 * Lengthens a context by repeating its last vector, or shortens it. Source: A1111 modules/sd_samplers_cfg_denoiser.py,
 * `pad_cond_uncond_v0`.
 */
export function padContext(context: Context, tokens: number): Context {
  const { data, width } = context;
  if (tokens === context.tokens) return context;
  const padded = new Float32Array(tokens * width);
  padded.set(data.subarray(0, padded.length));
  const last = data.subarray(data.length - width);
  for (let token = context.tokens; token < tokens; token++) padded.set(last, token * width);
  return { ...context, data: padded, tokens };
}

interface ScheduledContext {
  until: number;
  /** Entries with the same context share it. */
  index: number;
  context: Context;
}

async function encodeSchedule(
  plan: PromptPlan,
  schedule: PromptSchedule,
  encodeChunk: EncodeChunk,
  pooledTexts?: number,
): Promise<ScheduledContext[]> {
  const encodings = [...new Set(schedule.map(({ encoding }) => encoding))];
  const texts: WeighedText[][] = [];
  for (const encoding of encodings) {
    const count = schedule.filter((entry) => entry.encoding === encoding).length;
    texts.push(await encodeTexts(encoding, count, encodeChunk));
  }
  await applyEmphasis(plan, texts.flat(), encodeChunk);
  const contexts = texts.map((own) => joinTexts(own, pooledTexts));
  return schedule.flatMap(({ until, encoding }) => {
    const index = encodings.indexOf(encoding);
    const context = contexts[index];
    return context ? { until, index, context } : [];
  });
}

interface WeighedChunk extends EmphasisBatchEntry {
  pooled: Float32Array | null;
}
type WeighedText = readonly WeighedChunk[];

async function encodeTexts(
  encoding: Encoding,
  count: number,
  encodeChunk: EncodeChunk,
): Promise<WeighedText[]> {
  const texts: WeighedText[] = [];
  for (const chunks of encoding) {
    const text: WeighedChunk[] = [];
    for (const chunk of chunks) {
      const { hidden, pooled } = await encodeChunk(chunk);
      text.push({ hidden: hidden.slice(), weights: chunk.weights, count, pooled: pooled ?? null });
    }
    texts.push(text);
  }
  return texts;
}

async function applyEmphasis(
  plan: PromptPlan,
  texts: readonly WeighedText[],
  encodeChunk: EncodeChunk,
): Promise<void> {
  switch (plan.emphasis) {
    case 'none':
      return;
    case 'multiply':
      for (const { hidden, weights } of texts.flat()) multiplyTokens(hidden, weights);
      return;
    case 'multiply-keep-mean':
      for (let i = 0; texts.some((text) => i < text.length); i++) {
        multiplyKeepingMean(texts.flatMap((text) => text[i] ?? []));
      }
      return;
    case 'from-empty':
      for (const text of texts) {
        if (!text.some(({ weights }) => weights.some((weight) => weight !== 1))) continue;
        const empty = await encodeChunk(plan.empty);
        for (const { hidden, weights } of text) interpolateFromEmpty(hidden, empty.hidden, weights);
      }
  }
}

function joinTexts(texts: readonly WeighedText[], pooledTexts = texts.length): Context {
  const chunks = texts.flat();
  const tokens = chunks.reduce((total, { weights }) => total + weights.length, 0);
  const data = new Float32Array(chunks.reduce((total, { hidden }) => total + hidden.length, 0));
  let offset = 0;
  for (const { hidden } of chunks) {
    data.set(hidden, offset);
    offset += hidden.length;
  }
  return { data, tokens, width: data.length / tokens, pooled: sumPooled(texts.slice(0, pooledTexts)) };
}

function sumPooled(texts: readonly WeighedText[]): Float32Array | null {
  let sum: Float32Array | null = null;
  for (const [first] of texts) {
    if (!first?.pooled) continue;
    if (!sum) sum = first.pooled.slice();
    else for (const [i, value] of first.pooled.entries()) sum[i] = (sum[i] ?? 0) + value;
  }
  return sum;
}

function entryAt(contexts: readonly ScheduledContext[], call: number): ScheduledContext {
  const entry = contexts.find(({ until }) => call <= until) ?? contexts[0];
  if (!entry) throw new AppError('internal', 'The prompt has no text to encode.');
  return entry;
}

function padToLongest(parts: { weight: number; context: Context }[]): Conditioning['positive'] {
  const tokens = Math.max(...parts.map(({ context }) => context.tokens));
  return parts.map(({ weight, context }) => ({ weight, context: padContext(context, tokens) }));
}
