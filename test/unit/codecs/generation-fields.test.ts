import { describe, expect, it } from 'vitest';
import { readGenerationFields } from '#codecs/generation-fields.ts';
import { parseInfotext, writeInfotext, writePairs, type InfotextPair } from '#codecs/infotext.ts';

const fieldsOf = (...lines: string[]) => readGenerationFields(parseInfotext(lines.join('\n')));

/** Lines as A1111 v1.10.1 writes them: modules/processing.py, `create_infotext` and `init` of both kinds of processing. */
describe('readGenerationFields', () => {
  it('reads txt2img with a variation', () => {
    expect(
      fieldsOf(
        'a cat',
        'Negative prompt: blurry',
        'Steps: 20, Sampler: DPM++ 2M, Schedule type: Karras, CFG scale: 7.5, Seed: 18446744073709551615, Size: 512x768, ' +
          'Model hash: 6ce0161689, Model: v1-5-pruned-emaonly, VAE hash: 735e4c3a44, VAE: vae-ft-mse.safetensors, ' +
          'Variation seed: 12, Variation seed strength: 0.25, Clip skip: 2, Version: v1.10.1',
      ),
    ).toEqual({
      prompt: 'a cat',
      negativePrompt: 'blurry',
      steps: 20,
      sampler: 'DPM++ 2M',
      schedule: 'Karras',
      cfgScale: 7.5,
      seed: 18446744073709551615n,
      width: 512,
      height: 768,
      model: 'v1-5-pruned-emaonly',
      modelHash: '6ce0161689',
      vae: 'vae-ft-mse.safetensors',
      variation: { seed: 12n, strength: 0.25 },
      clipSkip: 2,
    });
  });

  it('reads img2img without a mask', () => {
    const fields = fieldsOf(
      'a cat',
      'Steps: 20, Sampler: Euler a, Denoising strength: 0.75, Version: v1.10.1',
    );
    expect(fields).toMatchObject({ denoisingStrength: 0.75 });
    expect(fields).not.toHaveProperty('mask');
    expect(fields).not.toHaveProperty('hires');
  });

  it.each([
    ['Mask blur: 4', { blur: 4, content: 'original', area: 'whole image', padding: 32, inverted: false }],
    [
      'Mask blur: 4, Inpaint area: Only masked, Masked area padding: 32',
      { blur: 4, content: 'original', area: 'only masked', padding: 32, inverted: false },
    ],
    [
      'Mask mode: Inpaint not masked, Mask blur: 8, Inpaint area: Only masked, Masked area padding: 64, Masked content: latent noise',
      { blur: 8, content: 'latent noise', area: 'only masked', padding: 64, inverted: true },
    ],
    ['Masked content: fill', { blur: 0, content: 'fill', area: 'whole image', padding: 32, inverted: false }],
  ])('reads the mask of “%s”', (pairs, mask) => {
    expect(
      fieldsOf('a cat', `Steps: 20, Sampler: Euler a, Seed: 1, Denoising strength: 0.6, ${pairs}`),
    ).toMatchObject({ denoisingStrength: 0.6, mask });
  });

  it.each([
    ['Hires upscale: 2.0, Hires upscaler: Latent', { size: { factor: 2 }, upscaler: 'Latent' }],
    [
      'Hires resize: 1024x0, Hires steps: 12, Hires upscaler: R-ESRGAN 4x+',
      { size: { width: 1024, height: 0 }, steps: 12, upscaler: 'R-ESRGAN 4x+' },
    ],
    [
      'Hires prompt: "a cat, sharp: very", Hires negative prompt: "soft\\nblurred", Hires checkpoint: other [abcdef0123], ' +
        'Hires sampler: DDIM, Hires schedule type: Karras, Hires upscale: 1.5, Hires upscaler: Lanczos',
      {
        size: { factor: 1.5 },
        upscaler: 'Lanczos',
        prompt: 'a cat, sharp: very',
        negativePrompt: 'soft\nblurred',
        model: 'other [abcdef0123]',
        sampler: 'DDIM',
        schedule: 'Karras',
      },
    ],
  ])('reads the hires pass of “%s”', (pairs, hires) => {
    const fields = fieldsOf(
      'a cat',
      `Steps: 20, Sampler: Euler, Size: 512x512, Denoising strength: 0.7, ${pairs}`,
    );
    expect(fields.hires).toEqual(hires);
    expect(fields).toMatchObject({ width: 512, height: 512, denoisingStrength: 0.7 });
  });

  it('reads the refiner', () => {
    expect(
      fieldsOf(
        '',
        'Steps: 20, Sampler: Euler, Refiner: sd_xl_refiner_1.0 [7440042bbd], Refiner switch at: 0.8',
      ),
    ).toMatchObject({ refiner: { model: 'sd_xl_refiner_1.0 [7440042bbd]', switchAt: 0.8 } });
  });

  it.each([
    ['512x512', { width: 512, height: 512 }],
    // 512² pixels in this aspect are 362 × 724: up to multiples of 64.
    ['0x0', { width: 384, height: 768 }],
  ])('reads a first pass of %s as 2022 wrote it', (first, size) => {
    expect(
      fieldsOf(
        '',
        `Steps: 20, Sampler: Euler, Size: 768x1536, Denoising strength: 0.7, First pass size: ${first}`,
      ),
    ).toMatchObject({ ...size, hires: { size: { width: 768, height: 1536 } } });
  });

  it('leaves out what is not what its key asks for', () => {
    expect(fieldsOf('a cat', 'Steps: many, Seed: -1, CFG scale: high, Size: large')).toEqual({
      prompt: 'a cat',
      negativePrompt: '',
    });
  });

  it('reads every pair back as it was written', () => {
    const hires: InfotextPair[] = [
      ['Hires prompt', 'a cat, <lora:x:1>\nwith "quotes" and \\ and: 苹果'],
      ['Hires negative prompt', 'soft, (blurred:1.2)'],
      ['Hires upscale', '2.0'],
      ['Hires upscaler', 'Latent (nearest-exact)'],
    ];
    const parameters: InfotextPair[] = [['Steps', '20'], ['Sampler', 'Euler a'], ...hires];
    const text = writeInfotext({ prompt: 'a cat', negativePrompt: 'dog', parameters });
    expect(parseInfotext(text).parameters).toEqual(parameters);
    expect(fieldsOf(text).hires).toMatchObject({ prompt: hires[0]?.[1], negativePrompt: hires[1]?.[1] });
  });
});

describe('quoting', () => {
  it.each([
    // What Python's json.dumps(value, ensure_ascii=False) gives, and only where there is a comma, a colon or a line break.
    ['plain', 'plain'],
    ['with "quotes"', 'with "quotes"'],
    ['back\\slash', 'back\\slash'],
    ['a, b', '"a, b"'],
    ['a: b', '"a: b"'],
    ['a\nb', '"a\\nb"'],
    ['a, "b"', '"a, \\"b\\""'],
    ['a,\tb', '"a,\\tb"'],
    ['a,\\b', '"a,\\\\b"'],
    ['苹果, é', '"苹果, é"'],
  ])('%j is written %j', (value, written) => {
    expect(writePairs([['Key', value]])).toBe(`Key: ${written}`);
    const line = writePairs([
      ['Steps', '1'],
      ['Seed', '2'],
      ['Key', value],
    ]);
    expect(new Map(parseInfotext(`a cat\n${line}`).parameters).get('Key')).toBe(value);
  });

  it('takes “Negative prompt:” for a mark only at the start of a line', () => {
    expect(parseInfotext('a\nNegative prompt: b\nsays Negative prompt: c\nNegative prompt: d')).toMatchObject(
      {
        prompt: 'a',
        negativePrompt: 'b\nsays Negative prompt: c\nd',
      },
    );
  });
});
