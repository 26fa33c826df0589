import type { ConfigJson } from '#engine/architectures/config.ts';
import type { BuiltGraph } from '#engine/graph/graph.ts';
import { externalDataOf } from '#engine/models/external-data.ts';
import { HeldFile } from '#engine/models/held-file.ts';
import { browserBuild } from '#engine/runtime/builds.ts';
import { chooseBackend, chooseBuild } from '#engine/runtime/device.ts';
import { openRuntime, type Runtime, type SessionOptions } from '#engine/runtime/runtime.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import type { BackendChoice } from '#protocol/engine-worker.ts';

const urls = import.meta.glob<string>('../fixtures/models/*/*', {
  query: '?url',
  import: 'default',
  eager: true,
});

/** Whether all networks run on the GPU (`npm run test:gpu`). A software GPU compiles each for up to half a minute. */
export const WITH_ALL_ON_GPU = import.meta.env.MODE === 'gpu';

/** A runtime as the engine's worker opens it. */
export async function openBrowserRuntime(choice: BackendChoice): Promise<Runtime> {
  const backend = await chooseBackend(choice);
  return openRuntime({ build: browserBuild(chooseBuild(backend.device)), ...backend });
}

/** A network's configuration and weights. */
export interface Network {
  config: ConfigJson;
  weights: TensorSource;
  /** The files that hold the weights, as graphs call them. */
  files: ReadonlyMap<string, HeldFile>;
}

async function fetchFixture(path: string): Promise<Blob> {
  const url = urls[`../fixtures/models/${path}`];
  if (url === undefined) throw new Error(`There is no fixture ${path}.`);
  return (await fetch(url)).blob();
}

/** A tiny reference network of test/fixtures/models. */
export async function openFixture(name: string): Promise<Network> {
  const file = Object.keys(urls)
    .map((path) => path.split('/').slice(-2))
    .find(([folder, path]) => folder === name && path !== undefined && /model\.safetensors$/.test(path))
    ?.at(-1);
  if (file === undefined) throw new Error(`The fixture ${name} has no weights.`);
  const data = await fetchFixture(`${name}/${file}`);
  return {
    config: JSON.parse(await (await fetchFixture(`${name}/config.json`)).text()) as ConfigJson,
    weights: await openSafetensors(data, file),
    files: new Map([[file, new HeldFile(data)]]),
  };
}

/** Opens a built graph on a runtime. */
export async function openGraph(
  runtime: Runtime,
  graph: BuiltGraph,
  { weights, files }: Network,
  options: SessionOptions = {},
) {
  return runtime.createSession(graph.model, {
    ...options,
    externalData: await externalDataOf(graph, weights, files),
  });
}
