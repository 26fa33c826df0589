import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { generationPairs, parseInfotext, pythonFloat, writeInfotext } from '#codecs/infotext.ts';

const facts = {
  steps: 20,
  sampler: 'Euler a',
  schedule: 'Automatic',
  cfgScale: 7,
  seed: 123n,
  width: 512,
  height: 512,
  modelHash: '6ce0161689',
  model: 'v1-5-pruned-emaonly',
  subseed: 9n,
  subseedStrength: 0,
  seedResizeFrom: null,
  denoisingStrength: null,
  clipSkip: 1,
  etaNoiseSeedDelta: 0,
  randomSource: 'GPU',
  tiling: false,
  extra: [],
  version: 'v1.10.1',
} as const;

describe('writeInfotext', () => {
  it('writes what A1111 writes', () => {
    const parameters = generationPairs(facts);
    expect(writeInfotext({ prompt: 'a cat', negativePrompt: 'blurry', parameters })).toBe(
      [
        'a cat',
        'Negative prompt: blurry',
        'Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7.0, Seed: 123, Size: 512x512, ' +
          'Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, Version: v1.10.1',
      ].join('\n'),
    );
  });

  it('names what differs from the defaults, and quotes what holds a comma, a colon or a line break', () => {
    const pairs = generationPairs({
      ...facts,
      subseedStrength: 0.5,
      seedResizeFrom: { width: 256, height: 384 },
      clipSkip: 2,
      etaNoiseSeedDelta: 31337,
      randomSource: 'CPU',
      tiling: true,
      extra: [
        ['Eta', '0.5'],
        ['Lora hashes', 'a: 12, b: 34'],
      ],
    });
    expect(writeInfotext({ prompt: '', negativePrompt: '', parameters: pairs })).toBe(
      'Steps: 20, Sampler: Euler a, Schedule type: Automatic, CFG scale: 7.0, Seed: 123, Size: 512x512, ' +
        'Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, Variation seed: 9, Variation seed strength: 0.5, ' +
        'Seed resize from: 256x384, Clip skip: 2, ENSD: 31337, RNG: CPU, Tiling: True, Eta: 0.5, ' +
        'Lora hashes: "a: 12, b: 34", Version: v1.10.1',
    );
  });
});

describe('parseInfotext', () => {
  it('takes sizes apart and keeps prompts of several lines', () => {
    const text =
      'a cat\non a mat\nNegative prompt: dog\nwet\nSteps: 20, Sampler: Euler, Size: 512x768, Seed: 1';
    expect(parseInfotext(text)).toEqual({
      prompt: 'a cat\non a mat',
      negativePrompt: 'dog\nwet',
      parameters: [
        ['Steps', '20'],
        ['Sampler', 'Euler'],
        ['Size-1', '512'],
        ['Size-2', '768'],
        ['Seed', '1'],
      ],
    });
  });

  it('takes a last line of fewer than three pairs for the prompt', () => {
    expect(parseInfotext('ratio 16:9, look: good')).toEqual({
      prompt: 'ratio 16:9, look: good',
      negativePrompt: '',
      parameters: [],
    });
  });

  it('reads back what writeInfotext wrote', () => {
    const word = fc.stringMatching(/^[\p{L}\d ,.:"\\()-]{1,30}$/u).map((text) => text.trim());
    fc.assert(
      fc.property(word, word, word, (prompt, negative, value) => {
        fc.pre(prompt !== '' && value !== '' && !prompt.startsWith('Negative prompt:'));
        const text = writeInfotext({
          prompt,
          negativePrompt: negative,
          parameters: [...generationPairs(facts), ['Note', value]],
        });
        const read = parseInfotext(text);
        expect(read.prompt).toBe(prompt);
        expect(read.negativePrompt).toBe(negative);
        expect(read.parameters.find(([key]) => key === 'Seed')?.[1]).toBe('123');
        // A quote at both ends of a bare value is taken for quoting, there as here.
        if (!/^".*"$/.test(value)) expect(read.parameters.find(([key]) => key === 'Note')?.[1]).toBe(value);
      }),
    );
  });
});

describe('pythonFloat', () => {
  it.each([
    [7, '7.0'],
    [0, '0.0'],
    [7.5, '7.5'],
    [-1, '-1.0'],
    [0.1 + 0.2, '0.30000000000000004'],
    [0.0001, '0.0001'],
    [0.00001, '1e-05'],
    [1.5e-7, '1.5e-07'],
    [1e16, '1e+16'],
    [123456789, '123456789.0'],
  ])('prints %f as Python does', (value, text) => {
    expect(pythonFloat(value)).toBe(text);
  });
});
