import { AppError } from '#protocol/error.ts';
import type { PromptOptions } from '#protocol/job.ts';
import type { ClipTokenizer } from '#engine/tokenizers/clip.ts';
import { parseAttention } from './attention.ts';
import { chunkPlainText, emptyContent, sealChunk, type PromptChunk } from './chunk.ts';
import { chunkPrompt } from './chunks.ts';
import { splitComposition } from './composition.ts';
import { createEmbeddingFinder, type Embeddings } from './embeddings.ts';
import type { Emphasis } from './emphasis.ts';
import { parseExtraNetworks, type ExtraNetwork } from './extra-networks.ts';
import { chunkFooocusText } from './fooocus.ts';
import { parseSchedule, type ScheduleSpan } from './schedule.ts';

/** The texts of one image and how to read them. */
export interface PromptRequest extends ScheduleSpan {
  texts: readonly string[];
  negativeTexts: readonly string[];
  /** See ImageSpec. */
  pooledTexts?: number;
  options: PromptOptions;
}

/** What the text encoder has to do for an image, and which outcome each call of the denoiser gets. Plain data. */
export interface PromptPlan {
  emphasis: Emphasis;
  /** Conditions whose guidance adds up, weighted; more than one only with `AND`. */
  positive: readonly { weight: number; schedule: PromptSchedule }[];
  negative: PromptSchedule;
  /** How many texts of a positive encoding, the first ones, count in its pooled output; all by default. */
  pooledTexts?: number;
  /** A chunk without text, for what has to be padded. */
  empty: PromptChunk;
  /** Removed from the prompt; for loading the weights. */
  extraNetworks: readonly ExtraNetwork[];
  /** What the prompt requested that could not be done. */
  notes: readonly PromptNote[];
}

/**
 * Encodings in the order in which they take turns: the same object where the same text returns. All of a schedule have
 * equally many chunks.
 */
export type PromptSchedule = readonly { until: number; encoding: Encoding }[];

/** Texts encoded one by one whose token sequences are joined: the chunks of each. */
export type Encoding = readonly (readonly PromptChunk[])[];

/** Something in a prompt that has no effect. */
export type PromptNote =
  { kind: 'truncated'; text: string; dropped: string } | { kind: 'unknown-embedding'; name: string };

/**
 * Reads the prompts of an image.
 *
 * @throws AppError `invalid_request` for more than one text in A1111's syntax
 */
export function planPrompt(
  request: PromptRequest,
  tokenizer: ClipTokenizer,
  embeddings: Embeddings,
): PromptPlan {
  return request.options.syntax === 'a1111'
    ? planA1111(request, tokenizer, embeddings)
    : planTexts(request, tokenizer, embeddings);
}

const A1111_EMPHASIS: Readonly<Record<PromptOptions['emphasis'], Emphasis>> = {
  original: 'multiply-keep-mean',
  'no-norm': 'multiply',
  ignore: 'none',
  none: 'none',
};

function planA1111(request: PromptRequest, tokenizer: ClipTokenizer, embeddings: Embeddings): PromptPlan {
  const { texts, negativeTexts, options } = request;
  if (texts.length > 1 || negativeTexts.length > 1) {
    throw new AppError(
      'invalid_request',
      'Prompts in this syntax cannot be split in several texts. Send one.',
    );
  }
  const findEmbedding = createEmbeddingFinder(embeddings, tokenizer);
  const empty = sealChunk(emptyContent(), tokenizer);
  const chunk = (text: string): PromptChunk[] => {
    const pieces = options.emphasis === 'none' ? [{ text, weight: 1 }] : parseAttention(text);
    return chunkPrompt(pieces, tokenizer, findEmbedding, options.commaPaddingBacktrack);
  };
  const schedule = (prompt: string): PromptSchedule => {
    const entries = parseSchedule(prompt, request);
    const chunked = Array.from(new Set(entries.map(({ text }) => text)), (text) => ({
      text,
      chunks: chunk(text),
    }));
    const length = Math.max(...chunked.map(({ chunks }) => chunks.length));
    const encodings = new Map<string, Encoding>(
      chunked.map(({ text, chunks }) => [
        text,
        [[...chunks, ...new Array<PromptChunk>(length - chunks.length).fill(empty)]],
      ]),
    );
    return entries.map(({ until, text }) => ({ until, encoding: encodings.get(text) ?? [[empty]] }));
  };
  const { text, networks } = parseExtraNetworks(texts[0] ?? '');
  return {
    emphasis: A1111_EMPHASIS[options.emphasis],
    positive: splitComposition(text).map((part) => ({ weight: part.weight, schedule: schedule(part.text) })),
    negative: schedule(negativeTexts[0] ?? ''),
    empty,
    extraNetworks: networks,
    notes: [],
  };
}

function planTexts(request: PromptRequest, tokenizer: ClipTokenizer, embeddings: Embeddings): PromptPlan {
  const notes: PromptNote[] = [];
  const findEmbedding = createEmbeddingFinder(embeddings, tokenizer);
  const chunk = (text: string): PromptChunk[] => {
    if (request.options.syntax === 'fooocus') {
      const { chunks, unknown } = chunkFooocusText(text, tokenizer, embeddings);
      notes.push(...unknown.map((name) => ({ kind: 'unknown-embedding', name }) as const));
      return chunks;
    }
    const { chunk, dropped } = chunkPlainText(text, tokenizer, findEmbedding);
    if (dropped !== '') notes.push({ kind: 'truncated', text, dropped });
    return [chunk];
  };
  const schedule = (texts: readonly string[]): PromptSchedule => [
    { until: request.steps, encoding: (texts.length > 0 ? texts : ['']).map(chunk) },
  ];
  return {
    emphasis: request.options.syntax === 'fooocus' ? 'from-empty' : 'none',
    positive: [{ weight: 1, schedule: schedule(request.texts) }],
    negative: schedule(request.negativeTexts),
    ...(request.pooledTexts !== undefined && { pooledTexts: request.pooledTexts }),
    empty: sealChunk(emptyContent(), tokenizer),
    extraNetworks: [],
    notes,
  };
}
