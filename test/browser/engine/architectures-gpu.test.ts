import { afterAll, beforeAll, expect, test } from 'vitest';
import { architectures, type ArchitectureName } from '#engine/architectures/index.ts';
import {
  buildAutoencoderKlDecoder,
  buildAutoencoderKlEncoder,
} from '#engine/architectures/autoencoder-kl.ts';
import {
  buildAutoencoderTinyDecoder,
  buildAutoencoderTinyEncoder,
} from '#engine/architectures/autoencoder-tiny.ts';
import { buildClipText } from '#engine/architectures/clip-text.ts';
import { buildClipVision } from '#engine/architectures/clip-vision.ts';
import { buildControlNet } from '#engine/architectures/controlnet.ts';
import {
  buildEmojiDecoder,
  buildEmojiEncoder,
  buildEmojiTextEncoder,
} from '#engine/architectures/emoji-mini.ts';
import { buildIpAdapterProjection } from '#engine/architectures/ip-adapter.ts';
import { buildRrdbNet } from '#engine/architectures/rrdb-net.ts';
import { buildUnet2dCondition } from '#engine/architectures/unet-2d-condition.ts';
import type { BuiltGraph } from '#engine/graph/graph.ts';
import type { FloatTensor, Runtime, TensorValue } from '#engine/runtime/runtime.ts';
import { quantiseTensors } from '#weights/quantise.ts';
import {
  openBrowserRuntime,
  openFixture,
  openGraph,
  WITH_ALL_ON_GPU,
  type Network,
} from '../../support/browser-engine.ts';
import { pseudoRandom } from '../../support/random-weights.ts';
import { relativeError } from '../../support/relative-error.ts';
import {
  smallClipText,
  smallEmojiAutoencoder,
  smallEmojiTextEncoder,
  smallIpAdapterPlus,
  smallRrdbNet,
} from './small-networks.ts';

const TOLERANCE = 1e-4;

/** Fixed sides of images and latents; the other symbols stay open, as in the engine. */
const size = { batch: 2, height: 4, width: 6 };
const OPEN_SIDES: Readonly<Record<string, number>> = { batch: 2, sequence: 7, added: 2 };

/** LoRAs have a rank of 1, 3 or 4, another from module to module. */
const sizeOf = (side: string) =>
  side.endsWith('.lora_rank') ? ([1, 3, 4][side.length % 3] ?? NaN) : (OPEN_SIDES[side] ?? NaN);

const fixture = (name: string) => () => openFixture(name);

/** Linear layers in blocks of 4 and 8 bits, where they are wide enough. */
async function quantisedUnet(): Promise<Network> {
  const { weights, ...rest } = await openFixture('unet-sd1');
  const quantised = quantiseTensors(weights, ({ name, shape }) => {
    if (!name.endsWith('.weight') || shape.length !== 2 || Number(shape[1]) % 32 !== 0) return 'exact';
    return name.includes('down_blocks') ? 'int8-blocks' : 'int4-blocks';
  });
  return { ...rest, weights: quantised };
}

interface Case {
  name: string;
  /** Also in `npm test`: together they hold every kind of layer. */
  always?: true;
  architecture: ArchitectureName;
  network: () => Network | Promise<Network>;
  build: (network: Network) => BuiltGraph;
}

const cases: Case[] = [
  {
    name: 'UNet',
    architecture: 'unet-2d-condition',
    network: fixture('unet-sd1'),
    build: ({ config, weights }) => buildUnet2dCondition(config, { weights, size }),
  },
  {
    name: 'UNet, quantised, with FreeU, tiling and residuals of ControlNets',
    always: true,
    architecture: 'unet-2d-condition',
    network: quantisedUnet,
    build: ({ config, weights }) =>
      buildUnet2dCondition(config, {
        weights,
        size,
        tiling: true,
        controlNet: true,
        freeU: { b1: 1.2, b2: 1.4, s1: 0.9, s2: 0.2, version: 2 },
      }),
  },
  {
    name: 'ControlNet',
    architecture: 'controlnet',
    network: fixture('controlnet'),
    build: ({ config, weights }) => buildControlNet(config, { weights, size }),
  },
  {
    name: 'AutoencoderKL, encoder',
    architecture: 'autoencoder-kl-encoder',
    network: fixture('autoencoder-kl'),
    build: ({ config, weights }) => buildAutoencoderKlEncoder(config, { weights, size }),
  },
  {
    name: 'AutoencoderKL, decoder',
    always: true,
    architecture: 'autoencoder-kl-decoder',
    network: fixture('autoencoder-kl'),
    build: ({ config, weights }) => buildAutoencoderKlDecoder(config, { weights, size }),
  },
  {
    name: 'AutoencoderTiny, encoder',
    architecture: 'autoencoder-tiny-encoder',
    network: fixture('autoencoder-tiny'),
    build: ({ config, weights }) => buildAutoencoderTinyEncoder(config, { weights, size }),
  },
  {
    name: 'AutoencoderTiny, decoder',
    architecture: 'autoencoder-tiny-decoder',
    network: fixture('autoencoder-tiny'),
    build: ({ config, weights }) => buildAutoencoderTinyDecoder(config, { weights, size }),
  },
  {
    name: 'CLIP text',
    architecture: 'clip-text',
    network: smallClipText,
    build: ({ config, weights }) => buildClipText(config, { weights }),
  },
  {
    name: 'CLIP text with textual inversions',
    always: true,
    architecture: 'clip-text',
    network: smallClipText,
    build: ({ config, weights }) => buildClipText(config, { weights, addedEmbeddings: true }),
  },
  {
    name: 'CLIP vision',
    architecture: 'clip-vision',
    network: fixture('clip-vision'),
    build: ({ config, weights }) => buildClipVision(config, { weights }),
  },
  {
    name: 'emoji-mini, text encoder',
    architecture: 'emoji-mini-text-encoder',
    network: smallEmojiTextEncoder,
    build: ({ config, weights }) => buildEmojiTextEncoder(config, { weights }),
  },
  {
    name: 'emoji-mini, encoder',
    architecture: 'emoji-mini-vae-encoder',
    network: smallEmojiAutoencoder,
    build: ({ config, weights }) => buildEmojiEncoder(config, { weights, size }),
  },
  {
    name: 'emoji-mini, decoder',
    always: true,
    architecture: 'emoji-mini-vae-decoder',
    network: smallEmojiAutoencoder,
    build: ({ config, weights }) => buildEmojiDecoder(config, { weights, size }),
  },
  {
    name: 'IP-Adapter Plus',
    architecture: 'ip-adapter-projection',
    network: smallIpAdapterPlus,
    build: ({ config, weights }) => buildIpAdapterProjection(config, { weights, patches: 5 }),
  },
  {
    name: 'ESRGAN',
    architecture: 'rrdb-net',
    network: smallRrdbNet,
    build: ({ config, weights }) => buildRrdbNet(config, { weights, size }),
  },
];

/** Numbers of the kind each input takes, the same each time. */
function inputsOf(graph: BuiltGraph): Record<string, TensorValue> {
  const inputs: Record<string, TensorValue> = {};
  for (const [index, { name, type, shape }] of graph.inputs.entries()) {
    const dims = shape.map((side) => (typeof side === 'number' ? side : sizeOf(side)));
    const count = dims.reduce((product, side) => product * side, 1);
    if (!Number.isInteger(count)) throw new Error(`No size for ${name} [${shape.join(', ')}].`);
    if (type === 'int32') {
      // The small vocabulary's end-of-text token closes each text.
      const data = Int32Array.from({ length: count }, (_, i) => (i % 6 === 5 ? 19 : (i * 7 + 3) % 19));
      inputs[name] = { type: 'int32', data, dims };
    } else {
      const data = name === 'timestep' ? Float32Array.of(321) : pseudoRandom(count, index + 1);
      // LoRAs change little.
      if (name.includes('.lora_')) data.forEach((value, i) => (data[i] = 0.2 * value));
      inputs[name] = { type: 'float32', data, dims };
    }
  }
  return inputs;
}

let gpu: Runtime;
let wasm: Runtime;

beforeAll(async () => {
  gpu = await openBrowserRuntime('webgpu');
  wasm = await openBrowserRuntime('wasm');
});

afterAll(async () => {
  await gpu.close();
  await wasm.close();
});

async function run(
  runtime: Runtime,
  graph: BuiltGraph,
  network: Network,
): Promise<Record<string, FloatTensor>> {
  // On the GPU every node must run there: one left to the CPU would cost a copy there and back.
  const session = await openGraph(runtime, graph, network, { requireProvider: runtime === gpu });
  try {
    return await session.run(inputsOf(graph));
  } finally {
    await session.release();
  }
}

const chosen = cases.filter(({ always }) => WITH_ALL_ON_GPU || always === true);
if (!WITH_ALL_ON_GPU)
  console.warn(
    `${chosen.length} of ${cases.length} networks run on the GPU here; npm run test:gpu runs all.`,
  );

test.each(chosen)('$name runs wholly on the GPU and agrees with wasm', async ({ network, build }) => {
  const opened = await network();
  const graph = build(opened);
  const expected = await run(wasm, graph, opened);
  const actual = await run(gpu, graph, opened);
  expect(Object.keys(actual)).toEqual(graph.outputs.map(({ name }) => name));
  for (const [name, { data, dims }] of Object.entries(expected)) {
    expect(actual[name]?.dims, name).toEqual(dims);
    expect(relativeError(actual[name]?.data ?? new Float32Array(), data), name).toBeLessThan(TOLERANCE);
  }
});

test('no architecture is left out', () => {
  expect(new Set(cases.map(({ architecture }) => architecture))).toEqual(new Set(Object.keys(architectures)));
});
