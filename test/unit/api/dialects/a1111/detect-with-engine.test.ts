import { readFile } from 'node:fs/promises';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { toBase64 } from '#codecs/base64.ts';
import { pixelsOf } from '../../../../support/a1111.ts';
import { jsonOf, post } from '../../../../support/http.ts';
import { depthPack } from '../../../../support/tiny-finders.ts';
import { openVisionApi, type VisionApi } from '../../../../support/vision-api.ts';

/** `/controlnet/detect` with preprocessors that run a network, from request to map. */

let vision: VisionApi;
let person: string;

beforeAll(async () => {
  vision = await openVisionApi([depthPack()]);
  person = toBase64(new Uint8Array(await readFile('test/fixtures/small-networks/pose/astronaut.png')));
});

afterAll(() => vision.close());

async function detect(body: object) {
  const answer = await jsonOf<{ info: string; images: string[] }>(
    post(vision.api, '/controlnet/detect', { controlnet_input_images: [person], ...body }),
  );
  return { ...answer, maps: answer.images.map(pixelsOf) };
}

it('draws poses at the resolution that is asked for, and keeps no job', async () => {
  const { info, maps } = await detect({
    controlnet_module: 'openpose',
    controlnet_input_images: [person, `data:image/png;base64,${person}`],
    controlnet_processor_res: 128,
  });
  expect([info, maps.length]).toEqual(['Success', 2]);
  const [first, second] = maps;
  expect(Math.min(first?.width ?? 0, first?.height ?? 0)).toBe(128);
  expect(first?.data.some((sample) => sample === 255)).toBe(true);
  expect(second?.data).toEqual(first?.data);
  expect(await vision.host.jobs()).toEqual([]);
});

it('tells depth by an installed network, which it names among its modules', async () => {
  const { module_list: modules } = await jsonOf<{ module_list: string[] }>(
    vision.api.request('/controlnet/module_list'),
  );
  expect(modules).toContain('depth_anything_v2');
  expect(modules).not.toContain('depth');
  const { maps } = await detect({ controlnet_module: 'depth_anything_v2', controlnet_processor_res: 128 });
  const [map] = maps;
  expect(new Set(map?.data).size).toBeGreaterThan(50);
});

it.each([
  [{ controlnet_module: 'depth' }, 404, "'depth_midas' needs MiDaS"],
  [{ controlnet_module: 'openpose', controlnet_input_images: ['AAAA'] }, 500, 'Invalid encoded image'],
  [{ controlnet_module: 'openpose_face' }, 422, "'openpose_face' does not exist, or needs a network"],
])('refuses %j', async (body, status, reason) => {
  const response = await post(vision.api, '/controlnet/detect', {
    controlnet_input_images: [person],
    ...body,
  });
  expect([response.status, await response.text()]).toEqual([status, expect.stringContaining(reason)]);
});
