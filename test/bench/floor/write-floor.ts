import { mkdirSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { build, defaultClientConditions } from 'vite';
import { buildEmoji, readEmoji } from '../../support/emoji-weights.ts';
import { readExternalData } from '../../support/onnx-session.ts';

const NETWORKS = ['text_encoder', 'unet', 'vae_decoder'] as const;

/** Builds the bare page and the graphs it runs into a folder. */
export async function writeFloor(folder: string): Promise<void> {
  await build({
    configFile: false,
    logLevel: 'error',
    root: import.meta.dirname,
    resolve: { conditions: ['onnxruntime-web-use-extern-wasm', ...defaultClientConditions] },
    build: { outDir: folder, emptyOutDir: true, target: 'esnext' },
    worker: { format: 'es' },
  });
  for (const network of NETWORKS) {
    const weights = await readEmoji(network, 'int8');
    for (const [name, options] of [
      ['plain', {}],
      ['own', { winograd: true, slicesAttention: true }],
    ] as const) {
      const graph = buildEmoji(network, weights, options);
      const [external] = await readExternalData(graph, weights, {});
      if (!external) throw new Error(`The graph of ${network} has no weights beside it.`);
      const place = path.join(folder, 'graphs', name);
      mkdirSync(place, { recursive: true });
      writeFileSync(path.join(place, `${network}.onnx`), graph.model);
      writeFileSync(path.join(place, `${network}.data`), external.data);
      writeFileSync(path.join(place, `${network}.path`), external.path);
    }
  }
}
