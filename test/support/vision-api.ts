import { createApi, type Api } from '#api/index.ts';
import type { EngineHost } from '#protocol/engine-host.ts';
import type { AnyPack } from '#protocol/model.ts';
import { startFakeLibrary } from './fake-library.ts';
import { asThread, openHostAround } from './host-around.ts';
import { tinyModel } from './tiny-control.ts';
import type { FilledPack } from './tiny-packs.ts';
import { includedPacks, visionEngine } from './vision-engine.ts';

/** All APIs around the real engine. */
export interface VisionApi {
  api: Api;
  host: EngineHost;
  close(): Promise<void>;
}

/** With a tiny checkpoint, `tiny`, what comes with the app, and these packs. */
export async function openVisionApi(packs: readonly FilledPack<AnyPack>[] = []): Promise<VisionApi> {
  const model = await tinyModel();
  const engine = visionEngine([model, ...packs]);
  const state = { stage: 'installed', installedAt: 0 } as const;
  const installed = [model.pack, ...includedPacks, ...packs.map(({ pack }) => pack)];
  const tab = await openHostAround({
    startEngine: () => asThread(engine),
    library: startFakeLibrary({ packs: installed.map((pack) => ({ pack, state })) }),
    settings: { 'app.model': model.pack.id },
  });
  const { host } = tab;
  return {
    host,
    api: createApi({ connect: () => Promise.resolve({ host, ended: new Promise<never>(() => undefined) }) }),
    async close() {
      tab.close();
      await engine.unload();
    },
  };
}
