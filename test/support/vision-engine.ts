import path from 'node:path';
import { createEngine } from '#engine/engine.ts';
import { describer } from '#library/packs/describer.ts';
import { upscalers } from '#library/packs/upscalers.ts';
import { visionNetworks } from '#library/packs/vision.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import type { EngineWorker } from '#protocol/engine-worker.ts';
import type { FindMaskJob, PreprocessJob } from '#protocol/job.ts';
import type { AnyPack } from '#protocol/model.ts';
import { decodePng, type Pixels } from '#codecs/png.ts';
import { openNodeRuntime, readFrom } from './node-engine.ts';
import type { FilledPack } from './tiny-packs.ts';

const MODELS = path.resolve(import.meta.dirname, '../../public/models');

/** What comes with the app, the built-in model excepted. */
export const includedPacks: readonly AnyPack[] = [describer, ...visionNetworks, ...upscalers];

/** An engine in Node that finds what comes with the app, and the files of these packs. @param watch sees what runs */
export function visionEngine(
  packs: readonly FilledPack<AnyPack>[],
  watch: (runtime: Runtime) => Runtime = (runtime) => runtime,
): EngineWorker {
  const open = async () => watch(await openNodeRuntime());
  // Packs may come to the engine as copies.
  return createEngine(open, ({ id }) => {
    const own = packs.find(({ pack }) => pack.id === id);
    return own ? (file) => Promise.resolve(own.files[file]) : readFrom(path.join(MODELS, id));
  });
}

/** Runs a job that makes a mask or a map. */
export async function runForMap(
  engine: EngineWorker,
  installed: readonly AnyPack[],
  job: FindMaskJob | PreprocessJob,
): Promise<{ map: Pixels; role: string; notes: readonly string[] }> {
  const made: { role: string; blob: Blob }[] = [];
  const { notes } = await engine.run(installed, job, (event) => {
    if (event.type === 'by-product' && event.artifact.kind === 'mask') made.push(event.artifact);
  });
  const [only, ...more] = made;
  if (!only || more.length > 0) throw new Error(`The job made ${made.length} maps.`);
  return { map: decodePng(new Uint8Array(await only.blob.arrayBuffer())), role: only.role, notes };
}
