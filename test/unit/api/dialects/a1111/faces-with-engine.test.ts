import { expect, it } from 'vitest';
import { blobToBase64 } from '#codecs/base64.ts';
import { decodePng } from '#codecs/png.ts';
import { openA1111 } from '../../../../support/a1111-engine.ts';
import { faceFinder, facePhoto, invertingRestorer, restorerPack } from '../../../../support/face-restorer.ts';
import { differenceWhere } from '../../../../support/init-engine.ts';

/** Within the larger face of `two-faces.png`, and far from both. */
const inFace = (x: number, y: number) => x >= 42 && x < 60 && y >= 52 && y < 72;
const isOutside = (x: number, y: number) => x >= 100 && y < 90;

const ask = await openA1111([faceFinder(), restorerPack('gfpgan', 'GFPGAN', invertingRestorer())]);
const request = {
  init_images: [await blobToBase64(facePhoto('two-faces'))],
  width: 192,
  height: 192,
  denoising_strength: 0.3,
};
const photo = decodePng(new Uint8Array(await facePhoto('two-faces').arrayBuffer()));

const detailer = (unit: object) => ({
  alwayson_scripts: { ADetailer: { args: [true, true, { ad_model: 'face_yolov8n.pt', ...unit }] } },
});

it('restore_faces repairs the faces of the images, and the infotext says by what', async () => {
  // The tiny model's images have no faces: the init image goes on as it is, and no face in it is large enough to be inpainted.
  const body = { ...request, ...detailer({ ad_mask_min_ratio: 0.99 }) };
  const { status, pixels, infotexts } = await ask('img2img', { ...body, restore_faces: true });
  expect(status).toBe(200);
  const restored = pixels[0] ?? photo;
  const inverted = { ...photo, data: photo.data.map((value) => 255 - value) };
  expect(differenceWhere(restored, inverted, inFace)).toBeLessThan(8);
  expect(differenceWhere(restored, photo, isOutside)).toBe(0);
  expect(infotexts[0]).toMatch(/Seed: 5, Face restoration: GFPGAN, Size: 192x192/);
});

it('ADetailer inpaints the faces of an init image, and nothing else where img2img is skipped', async () => {
  const body = { ...request, ...detailer({ ad_denoising_strength: 0.9 }) };
  const { status, pixels, infotexts } = await ask('img2img', body);
  expect(status).toBe(200);
  const detailed = pixels[0] ?? photo;
  expect(differenceWhere(detailed, photo, inFace)).toBeGreaterThan(5);
  expect(differenceWhere(detailed, photo, isOutside)).toBe(0);
  expect(infotexts[0]).toContain('ADetailer model: face_yolov8n.pt, ADetailer confidence: 0.3');
});

it('refuses what cannot be found before anything is generated', async () => {
  const units = { ADetailer: { args: [{ ad_model: 'hand_yolov8n.pt' }] } };
  const { status, images } = await ask('txt2img', { alwayson_scripts: units });
  expect(status).toBe(422);
  expect(images).toBeUndefined();
});
