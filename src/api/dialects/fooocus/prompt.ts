import { PythonRandom } from '#codecs/prompt/python-random.ts';
import type { StyleText } from '#codecs/prompt/styles/index.ts';

/** A LoRA file and its strength. */
export interface LoraChoice {
  name: string;
  weight: number;
}

/** The user's prompt, and what the words in it stand for. */
export interface FooocusPromptRequest {
  prompt: string;
  negativePrompt: string;
  /** Names of styles, `Random Style` and `Fooocus V2` among them. */
  styles: readonly string[];
  images: number;
  /** Image i has seed + i, unless `sameSeed`. */
  seed: bigint;
  sameSeed: boolean;
  /** Image i takes line i of a wildcard instead of a random one. */
  wildcardsInOrder: boolean;
  loras: readonly LoraChoice[];
  /** The LoRA file whose name without ending is `stem`. */
  findLora: (stem: string) => string | undefined;
  /** Known styles in Fooocus's order, on which `Random Style` depends. */
  knownStyles: ReadonlyMap<string, StyleText>;
  wildcards: ReadonlyMap<string, readonly string[]>;
}

/** The texts of one image. */
export interface FooocusImageTexts {
  seed: bigint;
  /** The main prompts after wildcards and arrays. */
  prompt: string;
  negativePrompt: string;
  /** All texts to encode, each separately. */
  positive: string[];
  negative: string[];
  /** The styles applied, random ones by their names. */
  styles: string[];
}

/** The outcome for all images of a request. */
export interface FooocusPrompts {
  images: FooocusImageTexts[];
  /** Those of the request and those named in the prompt. */
  loras: LoraChoice[];
  /** Styles without effect: unknown ones, and `Fooocus V2`, which is no style but asks for an installed text generator. */
  stylesWithoutEffect: string[];
}

export const RANDOM_STYLE = 'Random Style';
export const PROMPT_EXPANSION = 'Fooocus V2';
/** LoRAs of one request. */
export const MAX_LORAS = 5;
const SEEDS = 1n << 63n;
const WILDCARD_ROUNDS = 64;

/**
 * Turns a request's prompt, negative prompt and styles into the texts of each image.
 * Source: Fooocus modules/async_worker.py, `process_prompt`; random choices are those of its Python.
 */
export function expandFooocusPrompt(request: FooocusPromptRequest): FooocusPrompts {
  const { knownStyles, wildcards } = request;
  const [firstLine = '', ...extraLines] = splitPromptLines(request.prompt);
  const [negativeLine = '', ...extraNegativeLines] = splitPromptLines(request.negativePrompt);
  const { prompt: mainPrompt, loras } = takeLoras(firstLine, request.loras, request.findLora);
  const styles = request.styles.filter((name) => name === RANDOM_STYLE || knownStyles.has(name));

  const images = Array.from({ length: request.images }, (_, i): FooocusImageTexts => {
    const seed = (request.seed + (request.sameSeed ? 0n : BigInt(i))) % SEEDS;
    const random = new PythonRandom(seed);
    const choose = request.wildcardsInOrder
      ? (words: readonly string[]) => words[i % words.length] ?? ''
      : (words: readonly string[]) => random.choice(words);
    const fill = (text: string): string => fillWildcards(text, wildcards, choose);

    const prompt = pickFromArrays(fill(mainPrompt), i);
    const negativePrompt = fill(negativeLine);
    const extra = extraLines.map(fill);
    const extraNegative = extraNegativeLines.map(fill);
    const names = styles.map((name) =>
      name === RANDOM_STYLE ? random.choice([...knownStyles.keys()]) : name,
    );
    const applied = names.flatMap((name) => knownStyles.get(name) ?? []);
    const stylePrompts = applied.flatMap((style) =>
      splitLines(style.prompt.replaceAll('{prompt}', () => prompt)),
    );
    const placed = applied.some((style) => style.prompt.includes('{prompt}'));
    return {
      seed,
      prompt,
      negativePrompt,
      positive: dropEmpty([...(placed ? [] : [prompt]), ...stylePrompts, ...extra], prompt),
      negative: dropEmpty(
        [...applied.flatMap((style) => splitLines(style.negative)), negativePrompt, ...extraNegative],
        negativePrompt,
      ),
      styles: names,
    };
  });
  return {
    images,
    loras,
    stylesWithoutEffect: request.styles.filter((name) => !styles.includes(name)),
  };
}

/** The lines of a prompt: single blanks, no commas, full stops or blanks at either end, none empty. */
export function splitPromptLines(text: string): string[] {
  return splitLines(text)
    .map((line) => line.replace(/ {2,}/g, ' ').replace(/^[,. \r\n]+|[,. \r\n]+$/g, ''))
    .filter((line) => line !== '');
}

/**
 * Replaces each `[[a,b,c]]` by its element for an image; several arrays make the cross product, the first turning
 * fastest. Elements keep their blanks. Source: Fooocus modules/sdxl_styles.py, `apply_arrays`.
 */
export function pickFromArrays(text: string, image: number): string {
  let index = image;
  return text.replace(/\[\[([^\n]*?)\]\]/g, (_array, list: string) => {
    const elements = list.split(',');
    const element = elements[index % elements.length] ?? '';
    index = Math.floor(index / elements.length);
    return element;
  });
}

/**
 * Replaces each `__name__` by a line of that wildcard, in several rounds, as lines may contain wildcards. Unknown names
 * stand for themselves. Source: Fooocus modules/util.py, `apply_wildcards`.
 */
export function fillWildcards(
  text: string,
  wildcards: ReadonlyMap<string, readonly string[]>,
  choose: (words: readonly string[]) => string,
): string {
  let filled = text;
  for (let round = 0; round < WILDCARD_ROUNDS; round++) {
    const names = Array.from(filled.matchAll(/__([\p{L}\p{N}_-]+)__/gu), ([, name = '']) => name);
    if (names.length === 0) break;
    for (const name of names) {
      const words = wildcards.get(name);
      if (words && words.length > 0) {
        const word = choose(words);
        filled = filled.replace(`__${name}__`, () => word);
      } else {
        filled = filled.replaceAll(`__${name}__`, () => name);
      }
    }
  }
  return filled;
}

/**
 * Takes `<lora:name:weight>` tags out of a prompt and adds the files that exist to a list, up to Fooocus's limit. Tidies
 * the prompt's commas and blanks. Source: Fooocus modules/util.py, `parse_lora_references_from_prompt`.
 */
export function takeLoras(
  prompt: string,
  loras: readonly LoraChoice[],
  findLora: (stem: string) => string | undefined,
): { prompt: string; loras: LoraChoice[] } {
  const added: LoraChoice[] = [];
  const parts = prompt.split(',').map((part) =>
    part.replace(/<lora:([^:]+):([+-]?(?:\d+(?:\.\d*)?|\.\d+))>/g, (_tag, stem: string, weight: string) => {
      const name = findLora(stem);
      if (name !== undefined) added.push({ name, weight: Number(weight) });
      return '';
    }),
  );
  const fresh = added.filter(
    ({ name, weight }, i) =>
      !loras.some((lora) => lora.name === name) &&
      added.findIndex((other) => other.name === name && other.weight === weight) === i,
  );
  return {
    prompt: parts
      .map((part) => part.replace(/ +/g, ' ').trim())
      .filter((part) => part !== '')
      .join(', '),
    loras: fresh.length === 0 ? [...loras] : [...loras, ...fresh].slice(0, MAX_LORAS),
  };
}

/** As Python's `str.splitlines`: any line end of Unicode, and no empty line after the last. */
function splitLines(text: string): string[] {
  const lines = text.split(/\r\n|[\n\r\v\f\x85\u2028\u2029]/);
  if (lines.at(-1) === '') lines.pop();
  return lines;
}

function dropEmpty(texts: readonly string[], fallback: string): string[] {
  const kept = texts.filter((text) => text !== '');
  return kept.length > 0 ? kept : [fallback];
}
