import { describe, expect, it } from 'vitest';
import { createApi } from '#api/index.ts';
import { toBase64 } from '#codecs/base64.ts';
import { writeExif } from '#codecs/exif.ts';
import { encodePng } from '#codecs/png.ts';
import { createFakeHost } from '../../support/fake-host.ts';
import { jsonOf, post } from '../../support/http.ts';

interface PngInfo {
  info: string;
  items: Record<string, string>;
  parameters: Record<string, string>;
}

const pngOf = (texts: Record<string, string>) =>
  encodePng({ width: 832, height: 2, channels: 3, data: new Uint8Array(832 * 2 * 3) }, texts);

function pngInfo(file: Uint8Array): Promise<PngInfo> {
  return jsonOf<PngInfo>(post(createApi(createFakeHost()), '/sdapi/v1/png-info', { image: toBase64(file) }));
}

const infotext =
  'a cat\nNegative prompt: dog\nSteps: 20, Sampler: Euler a, CFG scale: 7.0, Seed: 1, Size: 512x768';

describe('POST /sdapi/v1/png-info', () => {
  it('reads the infotext of a PNG file, and lists its other texts', async () => {
    const { info, items, parameters } = await pngInfo(
      pngOf({ parameters: infotext, postprocessing: 'none' }),
    );
    expect(info).toBe(infotext);
    expect(items).toEqual({ postprocessing: 'none' });
    expect(parameters).toMatchObject({ Prompt: 'a cat', 'Size-1': '512', 'Inpaint area': 'Whole picture' });
  });

  it('lists the comment that EXIF has the infotext in', async () => {
    const frame = [0xff, 0xc0, 0, 11, 8, 0, 2, 0, 2, 1, 1, 0x11, 0];
    const jpeg = Uint8Array.of(0xff, 0xd8, ...frame, 0xff, 0xda, 0, 2, 9, 9, 0xff, 0xd9);
    const { info, items, parameters } = await pngInfo(writeExif(jpeg, { userComment: infotext }));
    expect([info, items]).toEqual([infotext, { 'exif comment': infotext }]);
    expect(parameters).toMatchObject({ Seed: '1' });
  });

  it.each([
    ['k_euler_ancestral', 'Euler a'],
    ['k_dpmpp_2m', 'DPM++ 2M'],
    // Not one of the original's aliases.
    ['k_dpmpp_2s_ancestral', 'Euler a'],
  ])('makes three lines of what NovelAI writes, in Latin and other scripts: %s', async (sampler, name) => {
    for (const prompt of ['1girl, masterpiece', '少女, masterpiece']) {
      const texts = {
        Software: 'NovelAI',
        Description: prompt,
        Comment: `{"steps": 28, "sampler": "${sampler}", "seed": 3441234567, "strength": 0.7, "scale": 11.0, "uc": "lowres, bad hands"}`,
      };
      const { info, items, parameters } = await pngInfo(pngOf(texts));
      expect(info.split('\n')).toEqual([
        prompt,
        'Negative prompt: lowres, bad hands',
        `Steps: 28, Sampler: ${name}, CFG scale: 11.0, Seed: 3441234567, Size: 832x2, Clip skip: 2, ENSD: 31337`,
      ]);
      expect(items).toEqual(texts);
      expect(parameters).toMatchObject({ Prompt: prompt, 'Size-1': '832', ENSD: '31337' });
    }
  });

  it('leaves a NovelAI image without the JSON as it is', async () => {
    const texts = { Software: 'NovelAI', Description: 'a cat', Comment: 'none' };
    expect(await pngInfo(pngOf(texts))).toEqual({ info: '', items: texts, parameters: {} });
  });
});
