import { createApi } from '#api/index.ts';
import { createEngine } from '#engine/engine.ts';
import type { AnyPack, ModelPack } from '#protocol/model.ts';
import { pixelsOf, type Txt2imgAnswer } from './a1111.ts';
import { startFakeLibrary } from './fake-library.ts';
import { asThread, openHostAround } from './host-around.ts';
import { jsonOf, post } from './http.ts';
import { openNodeRuntime } from './node-engine.ts';
import { clipConfig } from './tiny-clip.ts';
import { tinyControlNet, tinyModel } from './tiny-control.ts';
import { addOnPack, type FilledPack } from './tiny-packs.ts';
import { tinyUpscalerFile } from './tiny-upscaler.ts';

/** An answer with its images' pixels. */
export interface RealAnswer extends Txt2imgAnswer {
  status: number;
  pixels: ReturnType<typeof pixelsOf>[];
  infotexts: string[];
}

/** The same weights, with a text encoder that ends a layer earlier and norms that flatten what they are given. */
function otherModel({ files, pack }: FilledPack<ModelPack>): FilledPack<ModelPack> {
  const configs = {
    ...pack.configs,
    'text_encoder/config.json': clipConfig({ width: 32, layers: 1 }),
    'unet/config.json': { ...pack.configs?.['unet/config.json'], norm_eps: 0.5 },
  };
  return { files, pack: { ...pack, id: 'other', configs } };
}

/**
 * A1111's API around the real engine, with two tiny checkpoints, `tiny` and `other`, which reads prompts and denoises otherwise; an
 * upscaler, `tiny-2x`; and a ControlNet, `edges`.
 * @param others packs besides these
 */
export async function openA1111(others: readonly FilledPack<AnyPack>[] = []) {
  const model = await tinyModel();
  const packs = [
    model,
    otherModel(model),
    await addOnPack('upscaler', 'tiny-2x', await tinyUpscalerFile(2)),
    await tinyControlNet('edges'),
    ...others,
  ];
  // Packs come to the engine as copies.
  const filesOf = ({ id }: AnyPack) => packs.find(({ pack }) => pack.id === id)?.files;
  const engine = createEngine(openNodeRuntime, (pack) => (path) => Promise.resolve(filesOf(pack)?.[path]));
  const state = { stage: 'installed', installedAt: 0 } as const;
  const tab = await openHostAround({
    startEngine: () => asThread(engine),
    library: startFakeLibrary({ packs: packs.map(({ pack }) => ({ pack, state })) }),
    settings: { 'app.model': model.pack.id },
  });
  const api = createApi({
    connect: () => Promise.resolve({ host: tab.host, ended: new Promise<never>(() => undefined) }),
  });

  /** `POST /sdapi/v1/…`, for images of 64 × 64 in two steps unless the body says otherwise. */
  return async (route: 'txt2img' | 'img2img', body: object): Promise<RealAnswer> => {
    const response = await post(api, `/sdapi/v1/${route}`, {
      prompt: 'waves',
      width: 64,
      height: 64,
      steps: 2,
      seed: 5,
      ...body,
    });
    const answer = await jsonOf<Txt2imgAnswer>(response);
    const info = response.ok ? (JSON.parse(answer.info) as { infotexts: string[] }) : { infotexts: [] };
    return {
      ...answer,
      status: response.status,
      pixels: response.ok ? answer.images.map(pixelsOf) : [],
      infotexts: info.infotexts,
    };
  };
}
