import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { fromBase64, toBase64 } from '#codecs/base64.ts';
import { decodePng, type Pixels } from '#codecs/png.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { samPack, u2netPack } from '../../../../support/tiny-finders.ts';
import { groundingDinoPack } from '../../../../support/tiny-word-finders.ts';
import { pngOf } from '../../../../support/images.ts';
import { openVisionApi, type VisionApi } from '../../../../support/vision-api.ts';

let vision: VisionApi;
let faces: Uint8Array<ArrayBuffer>;

beforeAll(async () => {
  vision = await openVisionApi([u2netPack()]);
  faces = new Uint8Array(await readFile('test/fixtures/small-networks/face-detector/two-faces.png'));
});

afterAll(() => vision.close());

const MASK = '/v1/tools/generate_mask';

const findMask = async (body: object): Promise<Pixels> =>
  decodePng(fromBase64(await jsonOf<string>(post(vision.api, MASK, { image: toBase64(faces), ...body }))));

const whitePixels = ({ data, channels }: Pixels) =>
  data.filter((sample, i) => i % channels === 0 && sample > 127).length;

describe('generate_mask', () => {
  it('answers with the faces of an image as a bare string, and keeps no job of it', async () => {
    const mask = await findMask({ mask_model: 'sam', dino_prompt_text: 'face' });
    const sent = decodePng(faces);
    expect([mask.width, mask.height]).toEqual([sent.width, sent.height]);
    expect(whitePixels(mask)).toBeGreaterThan(200);
    const rectangles = await findMask({ mask_model: 'sam', dino_prompt_text: 'face', dino_debug: true });
    expect(whitePixels(rectangles)).toBeGreaterThan(whitePixels(mask));
    const one = await findMask({ mask_model: 'sam', dino_prompt_text: 'the face', sam_max_detections: 1 });
    expect(whitePixels(one)).toBeLessThan(whitePixels(mask));
    const grown = await findMask({ mask_model: 'sam', dino_prompt_text: 'face', dino_erode_or_dilate: 3 });
    expect(whitePixels(grown)).toBeGreaterThan(whitePixels(mask));
    expect(await vision.host.jobs()).toEqual([]);
  });

  it('finds people, and what an installed network finds salient', async () => {
    const people = await findMask({ mask_model: 'u2net_human_seg' });
    expect(whitePixels(people)).toBeGreaterThan(200);
    expect(await findMask({ mask_model: 'sam', dino_prompt_text: 'Person.' })).toEqual(people);
    const light = await findMask({ mask_model: 'u2netp' });
    expect(light).not.toEqual(people);
    expect(whitePixels(light)).toBeGreaterThan(0);
  });

  it('finds what words name with an installed Grounding DINO, outlined by an installed SAM', async () => {
    const own = await openVisionApi([groundingDinoPack(), samPack()]);
    // Red is a disc in its quarter.
    const disc = pngOf(64, 64, (x, y) => ((x - 16) ** 2 + (y - 16) ** 2 < 144 ? [255, 0, 0] : [0, 0, 0]));
    const image = toBase64(new Uint8Array(await disc.arrayBuffer()));
    const whiteOf = async (more: object) => {
      const body = { image, mask_model: 'sam', dino_prompt_text: 'Red', ...more };
      return whitePixels(decodePng(fromBase64(await jsonOf<string>(post(own.api, MASK, body)))));
    };
    const area = Math.PI * 144;
    expect(Math.abs((await whiteOf({})) - area)).toBeLessThan(area / 10);
    expect(await whiteOf({ dino_debug: true })).toBe(32 * 32);
    expect(await whiteOf({ dino_debug: true, dino_erode_or_dilate: 4 })).toBe(36 * 36);
    expect(await whiteOf({ dino_debug: true, box_threshold: 0.95 })).toBe(0);
    const both = { dino_debug: true, dino_prompt_text: 'green. red' };
    expect(await whiteOf(both)).toBe(2 * 32 * 32);
    expect(await whiteOf({ ...both, sam_max_detections: 1 })).toBe(32 * 32);
    await own.close();
  });

  it.each([
    [{ mask_model: 'isnet-general-use' }, 404, "'isnet-general-use' is not installed"],
    [{ mask_model: 'u2net_cloth_seg' }, 501, 'nothing here finds clothes'],
    [{ mask_model: 'sam', dino_prompt_text: 'a red hat' }, 404, 'finds “a red hat”: without more, only'],
    [{ mask_model: 'sam', dino_prompt_text: ' . ' }, 422, 'dino_prompt_text'],
    [{ image: '' }, 422, 'There is no image'],
    [{ image: 'AAAA' }, 422, 'is not a PNG, JPEG, WebP or GIF file'],
    [{ mask_model: 'yolo' }, 422, 'mask_model'],
  ])('refuses %j', async (body, status, reason) => {
    const response = await post(vision.api, MASK, { image: toBase64(faces), ...body });
    expect([response.status, await response.text()]).toEqual([status, expect.stringContaining(reason)]);
  });
});
