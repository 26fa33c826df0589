import type { Tag } from '#protocol/job.ts';

/** What can be said of an image, and where it lies in the space of the embeddings. */
export interface Phrases {
  things: readonly Thing[];
  styles: readonly string[];
  colors: readonly string[];
  /** A row for each: embeddings of the things at length 1, and what the others add to them. */
  vectors: Readonly<Record<'things' | 'styles' | 'colors' | 'backgrounds', readonly Float32Array[]>>;
}

interface Thing {
  name: string;
  /** What else it is called, and what it goes with. */
  keywords: readonly string[];
}

/** What an image shows; scores are cosines of its embedding and that of the words. */
export interface Seen {
  thing: Tag;
  keywords: readonly string[];
  style: Tag;
  /** Where saying it brings the words nearer to the image. */
  color?: Tag;
  background?: Tag;
}

/** A color counts from this gain of the cosine on. */
const LEAST_GAIN = 0.01;
/** The color of paper is not worth a word. */
const UNSAID = 'white';

/**
 * Ranks things, each in the style that suits it best, and then the colors of the best. What a style or a color adds to an
 * embedding is about the same for every thing, so that 2,000 things in six styles need no text encoder.
 * @param embedding of an image, of any length
 */
export function rankPhrases(embedding: Float32Array, { things, styles, colors, vectors }: Phrases): Seen {
  const image = toUnit(embedding);
  let best = { thing: 0, style: 0, score: -Infinity };
  for (const [thing, vector] of vectors.things.entries()) {
    for (const [style, shift] of vectors.styles.entries()) {
      const score = cosineOfSum(image, vector, shift);
      if (score > best.score) best = { thing, style, score };
    }
  }
  const { name = '', keywords = [] } = things[best.thing] ?? {};
  const score = clamp(best.score);
  const base = toUnit(sumOf(vectors.things[best.thing], vectors.styles[best.style]));
  const words = name.split(' ');
  const gainOf = (shifts: readonly Float32Array[]): Tag | undefined => {
    const gains = shifts.map((shift) => cosineOfSum(image, base, shift));
    const most = Math.max(...gains);
    const color = colors[gains.indexOf(most)];
    const isSaid = color !== undefined && color !== UNSAID && most > best.score + LEAST_GAIN;
    return isSaid ? { name: color, score: clamp(most) } : undefined;
  };
  const color = colors.some((each) => words.includes(each)) ? undefined : gainOf(vectors.colors);
  const background = gainOf(vectors.backgrounds);
  return {
    thing: { name, score },
    keywords,
    style: { name: styles[best.style] ?? '', score },
    ...(color && { color }),
    ...(background && background.name !== color?.name && { background }),
  };
}

/** A prompt such as `red apple on a blue background, 3d render`. */
export function toPrompt({ thing, style, color, background }: Seen): string {
  const named = color ? `${color.name} ${thing.name}` : thing.name;
  const placed = background ? `${named} on a ${background.name} background` : named;
  return `${placed}, ${style.name}`;
}

/** The same as tags, with the keywords of the thing. */
export function toTags({ thing, style, color, background, keywords }: Seen): Tag[] {
  return [
    thing,
    style,
    ...(color ? [color] : []),
    ...(background ? [{ ...background, name: `${background.name} background` }] : []),
    ...keywords.map((name) => ({ name, score: thing.score })),
  ];
}

const clamp = (score: number) => Math.min(Math.max(score, 0), 1);

function toUnit(vector: Float32Array): Float32Array {
  const length = Math.hypot(...vector);
  return vector.map((value) => value / length);
}

function sumOf(a: Float32Array = new Float32Array(), b: Float32Array = new Float32Array()): Float32Array {
  return a.map((value, i) => value + (b[i] ?? 0));
}

/** The cosine of a unit vector and the sum of two others. */
function cosineOfSum(unit: Float32Array, a: Float32Array, b: Float32Array): number {
  let product = 0;
  let square = 0;
  for (let i = 0; i < unit.length; i++) {
    const value = (a[i] ?? 0) + (b[i] ?? 0);
    product += value * (unit[i] ?? 0);
    square += value * value;
  }
  return product / Math.sqrt(square);
}
