import { BREAK_PATTERN } from './words.ts';

/** A piece of a prompt and how much it counts. */
export interface WeightedText {
  text: string;
  weight: number;
}

/** The piece that closes a chunk; recognised by identity of its text and weight, as in A1111. */
const BREAK: Readonly<WeightedText> = { text: 'BREAK', weight: -1 };

/** True for the piece that stands for the word `BREAK`. */
export function isBreak(piece: WeightedText): boolean {
  return piece.text === BREAK.text && piece.weight === BREAK.weight;
}

const TOKENS = /\\[()[\]\\]|\\|\(|\[|:\s*([+-]?(?:\d+\.?\d*|\.\d+))\s*\)|\)|\]|[^\\()[\]:]+|:/g;

const ROUND = 1.1;
const SQUARE = 1 / 1.1;

/**
 * Splits a prompt into pieces of equal weight: `(x)` ×1.1, `[x]` ÷1.1, `(x:1.3)`, nesting multiplies, a backslash
 * makes the next bracket literal. Never throws: unmatched closing brackets are text, unmatched opening ones
 * reach to the end. Source: A1111 modules/prompt_parser.py, `parse_prompt_attention`. Unlike there, `BREAK` stays a
 * break inside brackets.
 */
export function parseAttention(text: string): WeightedText[] {
  const pieces: WeightedText[] = [];
  const round: number[] = [];
  const square: number[] = [];
  const multiplyFrom = (start: number, factor: number): void => {
    for (const piece of pieces.slice(start)) if (!isBreak(piece)) piece.weight *= factor;
  };

  for (const match of text.matchAll(TOKENS)) {
    const [token, weight] = match;
    let start: number | undefined;
    if (token.startsWith('\\')) pieces.push({ text: token.slice(1), weight: 1 });
    else if (token === '(') round.push(pieces.length);
    else if (token === '[') square.push(pieces.length);
    else if (weight !== undefined && (start = round.pop()) !== undefined) multiplyFrom(start, Number(weight));
    else if (token === ')' && (start = round.pop()) !== undefined) multiplyFrom(start, ROUND);
    else if (token === ']' && (start = square.pop()) !== undefined) multiplyFrom(start, SQUARE);
    else {
      for (const [i, part] of token.split(BREAK_PATTERN).entries()) {
        if (i > 0) pieces.push({ ...BREAK });
        pieces.push({ text: part, weight: 1 });
      }
    }
  }
  for (const start of round) multiplyFrom(start, ROUND);
  for (const start of square) multiplyFrom(start, SQUARE);
  return mergeEqualWeights(pieces);
}

function mergeEqualWeights(pieces: readonly WeightedText[]): WeightedText[] {
  const merged: WeightedText[] = [];
  for (const piece of pieces) {
    const last = merged.at(-1);
    if (last?.weight === piece.weight && !isBreak(last) && !isBreak(piece)) last.text += piece.text;
    else merged.push({ ...piece });
  }
  return merged.length > 0 ? merged : [{ text: '', weight: 1 }];
}
