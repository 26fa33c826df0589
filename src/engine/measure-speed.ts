import { resnetBlock } from '#engine/architectures/resnet.ts';
import { transformer2d } from '#engine/architectures/transformer-2d.ts';
import { Graph } from '#engine/graph/graph.ts';
import { conv2d } from '#engine/graph/layers.ts';
import { externalDataOf } from '#engine/models/external-data.ts';
import type { Runtime, Session } from '#engine/runtime/runtime.ts';
import { castTensors } from '#weights/casts.ts';
import { elementCount, type TensorSource } from '#weights/tensor-source.ts';

/** As the second level of SD 1's UNet has: between the first one's large images and the last one's wide layers. */
const CHANNELS = 640;
const TOKENS = 77;
const TEXT_WIDTH = 768;
const LATENT_CHANNELS = 4;

/** A side of the latents, as in that level; a CPU is as fast with a quarter of them, and done in time. */
const GPU_SIDE = 32;
const CPU_SIDE = 16;

/** Images at once: one, and so many that a fast GPU does not wait for us. */
const FEW = 1;
const MANY = 16;

/** A run that is shorter is mostly waiting. */
const SHORT_SECONDS = 0.1;

/** No further run begins after this long. */
const ENOUGH_SECONDS = 3;

/** What each layer's weight is, outermost dimension first, and whether it is applied to each cell of the image or to each token. */
const LAYERS: Readonly<Record<string, readonly [shape: readonly number[], to: 'cells' | 'tokens']>> = {
  conv_in: [[CHANNELS, LATENT_CHANNELS, 3, 3], 'cells'],
  'resnet.conv1': [[CHANNELS, CHANNELS, 3, 3], 'cells'],
  'resnet.conv2': [[CHANNELS, CHANNELS, 3, 3], 'cells'],
  'attention.proj_in': [[CHANNELS, CHANNELS], 'cells'],
  'attention.transformer_blocks.0.attn1.to_q': [[CHANNELS, CHANNELS], 'cells'],
  'attention.transformer_blocks.0.attn1.to_k': [[CHANNELS, CHANNELS], 'cells'],
  'attention.transformer_blocks.0.attn1.to_v': [[CHANNELS, CHANNELS], 'cells'],
  'attention.transformer_blocks.0.attn1.to_out.0': [[CHANNELS, CHANNELS], 'cells'],
  'attention.transformer_blocks.0.attn2.to_q': [[CHANNELS, CHANNELS], 'cells'],
  'attention.transformer_blocks.0.attn2.to_k': [[CHANNELS, TEXT_WIDTH], 'tokens'],
  'attention.transformer_blocks.0.attn2.to_v': [[CHANNELS, TEXT_WIDTH], 'tokens'],
  'attention.transformer_blocks.0.attn2.to_out.0': [[CHANNELS, CHANNELS], 'cells'],
  'attention.transformer_blocks.0.ff.net.0.proj': [[8 * CHANNELS, CHANNELS], 'cells'],
  'attention.transformer_blocks.0.ff.net.2': [[CHANNELS, 4 * CHANNELS], 'cells'],
  'attention.proj_out': [[CHANNELS, CHANNELS], 'cells'],
  conv_out: [[LATENT_CHANNELS, CHANNELS, 3, 3], 'cells'],
};

/**
 * Multiply-adds that an image of so many cells takes: those of the layers, and of attention's scores and their use. Norms and
 * activations are not counted, as nobody counts them.
 */
function multiplyAdds(cells: number): number {
  const places = { cells, tokens: TOKENS };
  const attention = 2 * cells * (cells + TOKENS) * CHANNELS;
  return Object.values(LAYERS).reduce(
    (sum, [shape, to]) => sum + elementCount(shape) * places[to],
    attention,
  );
}

/** Weights for {@link LAYERS}, their biases, and norms: what it computes does not matter. */
const WEIGHTS: TensorSource = {
  names: () => Object.keys(LAYERS).flatMap((layer) => [`${layer}.weight`, `${layer}.bias`]),
  info(name) {
    const [shape = [CHANNELS]] = LAYERS[name.replace(/\.(?:weight|bias)$/, '')] ?? [];
    return { name, type: 'float32', shape: name.endsWith('.bias') ? shape.slice(0, 1) : shape };
  },
  read(name) {
    const data = new Float32Array(elementCount(WEIGHTS.info(name)?.shape ?? []));
    // No number is 0, infinite, or too small for its type, which some processors are slow with.
    for (let i = 0; i < data.length; i++) data[i] = ((i % 13) - 6.5) / 256;
    return Promise.resolve(new Uint8Array(data.buffer));
  },
};

/** A part of a UNet, in the graphs that models run in on this device. */
async function openPart(runtime: Runtime, side: number): Promise<Session> {
  const precision = runtime.backend.float16 ? 'float16' : 'float32';
  const weights = castTensors(WEIGHTS, precision);
  const graph = new Graph({ name: 'speed', weights, precision, slicesAttention: runtime.device === null });
  const sample = graph.input('sample', 'float32', ['batch', LATENT_CHANNELS, side, side]);
  const text = graph.input('text', 'float32', ['batch', TOKENS, TEXT_WIDTH]);
  let hidden = conv2d(graph, sample, 'conv_in', { out: CHANNELS });
  hidden = resnetBlock(graph, hidden, 'resnet', {
    out: CHANNELS,
    settings: {
      groups: 32,
      epsilon: 1e-5,
      activation: 'silu',
      timeScaleShift: 'default',
      outputScale: 1,
    },
  });
  hidden = transformer2d(
    graph,
    hidden,
    'attention',
    {
      heads: 8,
      layers: 1,
      groups: 32,
      linearProjection: true,
      onlyCrossAttention: false,
      upcastAttention: false,
    },
    { text },
  );
  graph.output('changed', conv2d(graph, hidden, 'conv_out', { out: LATENT_CHANNELS }));
  const built = graph.build();
  const externalData = await externalDataOf(built, weights, new Map());
  // As UNets of the size that is worth asking for are opened.
  return runtime.createSession(built.model, { externalData, foldWeights: false });
}

/** Seconds of one run. */
async function timeRun(session: Session, images: number, side: number): Promise<number> {
  const filled = (dims: readonly number[]) => ({
    type: 'float32' as const,
    data: new Float32Array(elementCount(dims)).fill(0.5),
    dims,
  });
  const inputs = {
    sample: filled([images, LATENT_CHANNELS, side, side]),
    text: filled([images, TOKENS, TEXT_WIDTH]),
  };
  const start = performance.now();
  await session.run(inputs);
  return (performance.now() - start) / 1000;
}

/** The fastest of some runs; the first one of a GPU compiles. */
async function fastestRun(session: Session, images: number, side: number): Promise<number> {
  let [fastest, spent] = [Infinity, 0];
  for (let run = 0; run < 4 && spent < ENOUGH_SECONDS; run++) {
    const seconds = await timeRun(session, images, side);
    fastest = Math.min(fastest, seconds);
    spent += seconds;
  }
  return fastest;
}

/**
 * How fast a device computes what diffusion consists of, measured on a part of a UNet: convolutions, linear layers and
 * attention. Takes some seconds.
 * @returns multiply-adds per second
 * @throws AppError `device_lost`, `out_of_memory`
 */
export async function measureSpeed(runtime: Runtime): Promise<number> {
  const side = runtime.device === null ? CPU_SIDE : GPU_SIDE;
  const session = await openPart(runtime, side);
  try {
    let images = FEW;
    let seconds = await fastestRun(session, images, side);
    if (seconds < SHORT_SECONDS) {
      images = MANY;
      seconds = await fastestRun(session, images, side);
    }
    return (images * multiplyAdds(side * side)) / seconds;
  } finally {
    await session.release();
  }
}
