import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  expandFooocusPrompt,
  fillWildcards,
  pickFromArrays,
  splitPromptLines,
  takeLoras,
  type FooocusPromptRequest,
} from '#api/dialects/fooocus/prompt.ts';
import { PythonRandom } from '#codecs/prompt/python-random.ts';

const request: FooocusPromptRequest = {
  prompt: 'cat',
  negativePrompt: '',
  styles: [],
  images: 1,
  seed: 0n,
  sameSeed: false,
  wildcardsInOrder: false,
  loras: [],
  findLora: (stem) => (['film', 'ink'].includes(stem) ? `${stem}.safetensors` : undefined),
  knownStyles: new Map([
    ['Sharp', { prompt: 'crisp {prompt}\nclear light', negative: 'blurry' }],
    ['Tidy', { prompt: '', negative: 'mess\nnoise' }],
    ['Calm', { prompt: 'calm mood', negative: '' }],
  ]),
  wildcards: new Map([
    ['color', ['red', 'green', 'blue', '__animal__ brown', 'teal']],
    ['animal', ['cat', 'dog', 'owl']],
    ['deep-x', ['__color__ and __color__', 'plain']],
  ]),
};

describe('expandFooocusPrompt', () => {
  it('puts the prompt into each style, every line for itself', () => {
    const { images } = expandFooocusPrompt({
      ...request,
      negativePrompt: 'fog',
      styles: ['Sharp', 'Tidy', 'Calm'],
    });
    expect(images).toEqual([
      {
        seed: 0n,
        prompt: 'cat',
        negativePrompt: 'fog',
        positive: ['crisp cat', 'clear light', 'calm mood'],
        negative: ['blurry', 'mess', 'noise', 'fog'],
        styles: ['Sharp', 'Tidy', 'Calm'],
      },
    ]);
  });

  it('puts the prompt first if no style takes it in', () => {
    expect(expandFooocusPrompt({ ...request, styles: ['Calm'] }).images[0]?.positive).toEqual([
      'cat',
      'calm mood',
    ]);
  });

  it('takes further lines as further conditions', () => {
    const [image] = expandFooocusPrompt({
      ...request,
      prompt: ' cat, \n\n  sunny   day.\n',
      negativePrompt: 'a\nb',
    }).images;
    expect(image).toMatchObject({ prompt: 'cat', positive: ['cat', 'sunny day'], negative: ['a', 'b'] });
  });

  it('encodes an empty prompt too', () => {
    expect(expandFooocusPrompt({ ...request, prompt: '' }).images[0]).toMatchObject({
      positive: [''],
      negative: [''],
    });
  });

  it('draws once per image: wildcards of the prompt, of the negative, then styles', () => {
    const named = {
      ...request,
      prompt: '__animal__',
      negativePrompt: '__color__',
      styles: ['Random Style'],
      seed: 5n,
    };
    const random = new PythonRandom(5n);
    const animal = random.choice(['cat', 'dog', 'owl']);
    const color = random.choice(['red', 'green', 'blue', '__animal__ brown', 'teal']);
    const style = random.choice(['Sharp', 'Tidy', 'Calm']);
    expect(expandFooocusPrompt(named).images[0]).toMatchObject({
      prompt: animal,
      negativePrompt: color,
      styles: [style],
    });
  });

  it('counts seeds up, and arrays with them', () => {
    const several = { ...request, prompt: '[[red,blue]] cat', images: 3, seed: 2n ** 63n - 2n };
    // Tidying the prompt puts a blank behind each comma, and elements keep theirs.
    expect(expandFooocusPrompt(several).images.map(({ seed, prompt }) => [seed, prompt])).toEqual([
      [2n ** 63n - 2n, 'red cat'],
      [2n ** 63n - 1n, ' blue cat'],
      [0n, 'red cat'],
    ]);
    const same = expandFooocusPrompt({ ...several, sameSeed: true }).images;
    expect(new Set(same.map(({ seed }) => seed)).size).toBe(1);
  });

  it('takes LoRA tags out of the first line', () => {
    const { images, loras } = expandFooocusPrompt({ ...request, prompt: 'cat, <lora:film:0.5>, dog' });
    expect(images[0]?.prompt).toBe('cat, dog');
    expect(loras).toEqual([{ name: 'film.safetensors', weight: 0.5 }]);
  });

  it('names the styles that have no effect', () => {
    const { stylesWithoutEffect, images } = expandFooocusPrompt({
      ...request,
      styles: ['Fooocus V2', 'Sharp', 'No Such Style'],
    });
    expect(stylesWithoutEffect).toEqual(['Fooocus V2', 'No Such Style']);
    expect(images[0]?.styles).toEqual(['Sharp']);
  });

  it('takes any text', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), fc.string(), (prompt, negativePrompt) => {
        const { images } = expandFooocusPrompt({
          ...request,
          prompt,
          negativePrompt,
          styles: ['Sharp'],
          images: 2,
        });
        expect(images).toHaveLength(2);
      }),
    );
  });
});

describe('splitPromptLines', () => {
  it('tidies the ends and drops empty lines', () => {
    expect(splitPromptLines(' ,a   b., \r\n...\n c\u2028d')).toEqual(['a b', 'c', 'd']);
  });
});

describe('pickFromArrays', () => {
  // From Fooocus's apply_arrays.
  it.each([
    ['a [[red,green, blue]] [[cat,dog]] x', 0, 'a red cat x'],
    ['a [[red,green, blue]] [[cat,dog]] x', 2, 'a  blue cat x'],
    ['a [[red,green, blue]] [[cat,dog]] x', 4, 'a green dog x'],
    ['a [[red,green, blue]] [[cat,dog]] x', 6, 'a red cat x'],
    ['[[b,c]] [[b,c]]', 1, 'c b'],
    ['[[]]', 3, ''],
    ['no [array]', 3, 'no [array]'],
  ])('%j, image %i', (text, image, expected) => {
    expect(pickFromArrays(text, image)).toBe(expected);
  });
});

describe('fillWildcards', () => {
  // From Fooocus's apply_wildcards with the same lists, random.Random(seed), image 4.
  it.each([
    ['a __color__ __animal__ __color__', 0n, 'a dog brown dog red'],
    ['a __color__ __animal__ __color__', 5n, 'a teal dog blue'],
    ['__deep-x__', 0n, 'plain'],
  ])('%j with seed %s', (text, seed, expected) => {
    const random = new PythonRandom(seed);
    expect(fillWildcards(text, request.wildcards, (words) => random.choice(words))).toBe(expected);
  });

  it('goes through the lists in order', () => {
    const fourth = (words: readonly string[]) => words[4 % words.length] ?? '';
    expect(fillWildcards('__deep-x__', request.wildcards, fourth)).toBe('teal and teal');
  });

  it('lets unknown names stand for themselves', () => {
    expect(fillWildcards('a __missing__ cat', request.wildcards, () => 'x')).toBe('a missing cat');
  });

  it('ends with a list that names itself', () => {
    const endless = new Map([['a', ['__a__ b']]]);
    expect(fillWildcards('__a__', endless, ([first = '']) => first)).toMatch(/^__a__( b){64}$/);
  });
});

describe('takeLoras', () => {
  const listed = [{ name: 'b.safetensors', weight: 1 }];
  const find = (stem: string) => (/^[a-f]$/.test(stem) ? `${stem}.safetensors` : undefined);

  // From Fooocus's parse_lora_references_from_prompt.
  it.each([
    ['<lora:a:0.5><lora:b:-.3> x,,y ,  z', 'x, y, z', ['b 1', 'a 0.5']],
    ['<lora:none:1> q', 'q', ['b 1']],
    ['<lora:a:1>, <lora:a:1>, <lora:a:0.9>', '', ['b 1', 'a 1', 'a 0.9']],
    ['[[a,b]] c', '[[a, b]] c', ['b 1']],
    ['<lora:a:x>', '<lora:a:x>', ['b 1']],
    ['<lora:a:1> <lora:c:1> <lora:d:1> <lora:e:1> <lora:f:1>', '', ['b 1', 'a 1', 'c 1', 'd 1', 'e 1']],
  ])('%j', (text, prompt, loras) => {
    const taken = takeLoras(text, listed, find);
    expect(taken.prompt).toBe(prompt);
    expect(taken.loras.map(({ name, weight }) => `${name.replace('.safetensors', '')} ${weight}`)).toEqual(
      loras,
    );
  });
});
