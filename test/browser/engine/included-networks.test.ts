import { afterAll, describe, expect, it } from 'vitest';
import { openBrowserRuntime, WITH_ALL_ON_GPU } from '../../support/browser-engine.ts';
import {
  FACE_ANCHORS,
  runCase,
  SMALL_NETWORKS,
  type SmallNetwork,
  type SmallNetworkReference,
} from '../../support/small-networks.ts';

/** On the software GPU `npm test` runs these alone, and `npm run test:gpu` all. */
const ALWAYS_ON_GPU: readonly SmallNetwork[] = ['face-detector', 'person-mask'];
const references = import.meta.glob<SmallNetworkReference>('../../fixtures/small-networks/*/reference.json', {
  import: 'default',
  eager: true,
});
const images = import.meta.glob<string>('../../fixtures/small-networks/*/*.png', {
  query: '?url',
  import: 'default',
  eager: true,
});

const runtimes = { wasm: await openBrowserRuntime('wasm'), webgpu: await openBrowserRuntime('webgpu') };
afterAll(async () => {
  await runtimes.wasm.close();
  await runtimes.webgpu.close();
});

async function fetchFile(url: string | undefined): Promise<Blob> {
  const answer = await fetch(url ?? '');
  if (!answer.ok) throw new Error(`${String(url)} is not there.`);
  return answer.blob();
}

if (!WITH_ALL_ON_GPU)
  console.warn(`On the GPU only ${ALWAYS_ON_GPU.join(' and ')} run here; npm run test:gpu runs all.`);

describe.each(Object.keys(SMALL_NETWORKS) as SmallNetwork[])('%s', (name) => {
  const folder = `../../fixtures/small-networks/${name}`;
  const reference = references[`${folder}/reference.json`];

  const providers =
    WITH_ALL_ON_GPU || ALWAYS_ON_GPU.includes(name) ? (['wasm', 'webgpu'] as const) : (['wasm'] as const);
  it.each(providers)('gives what its original gives on %s, and nothing falls back', async (provider) => {
    const model = new Uint8Array(await (await fetchFile(`/models/${SMALL_NETWORKS[name]}`)).arrayBuffer());
    const session = await runtimes[provider].createSession(model, {
      requireProvider: provider === 'webgpu',
    });
    const readFile = (file: string) => fetchFile(images[`${folder}/${file}`]);
    // One image is enough here: SwiftShader takes its time, and Node runs all of them.
    const first = reference?.cases[0];
    if (!first) throw new Error('There is no reference.');
    const { differences, faces } = await runCase(session, first, readFile, FACE_ANCHORS[name]);
    await session.release();
    for (const [output, difference] of Object.entries(differences))
      expect(difference, output).toBeLessThanOrEqual(reference.tolerance[output] ?? 0);
    expect(faces).toBe(first.detections?.length ?? 0);
  });
});
