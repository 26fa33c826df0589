import { expose } from 'comlink';
import type { InferenceSession, Tensor } from 'onnxruntime-web/wasm';
import { browserBuild } from '#engine/runtime/builds.ts';
import { contestants } from './contestants.ts';

/*
 * What is measured against: the built-in model's networks, run one after the other in a bare worker. It fetches graphs
 * that the bench has written, and knows no prompts, no queue, no previews.
 */

const NETWORKS = ['text_encoder', 'unet', 'vae_decoder'] as const;

type Sessions = Readonly<Record<(typeof NETWORKS)[number], InferenceSession>>;

const GUIDANCE = 4;
const CELLS = [16, 16, 16] as const;
/** `time_ids`: original size, crop, target size. */
const NATIVE_SIZE = [256, 256, 0, 0, 256, 256];
const COUNT = CELLS[0] * CELLS[1] * CELLS[2];

const runtime = browserBuild('wasm').load();
const opened = new Map<string, Promise<Sessions>>();

const bytesOf = async (address: string) => new Uint8Array(await (await fetch(address)).arrayBuffer());

async function openSessions(name: string): Promise<Sessions> {
  const { graphs, options } = contestants[name as keyof typeof contestants];
  const ort = await runtime;
  const sessions: Partial<Record<(typeof NETWORKS)[number], InferenceSession>> = {};
  for (const network of NETWORKS) {
    const [model, data] = await Promise.all([
      bytesOf(`/graphs/${graphs}/${network}.onnx`),
      bytesOf(`/graphs/${graphs}/${network}.data`),
    ]);
    const path = (await (await fetch(`/graphs/${graphs}/${network}.path`)).text()).trim();
    sessions[network] = await ort.InferenceSession.create(model, {
      executionProviders: ['wasm'],
      externalData: [{ path, data }],
      ...options,
    });
  }
  return sessions as Sessions;
}

/** The numbers of an output, which the runtime forgets afterwards. */
async function numbersOf(tensor: Tensor | undefined): Promise<Float32Array> {
  const data = await tensor?.getData(true);
  return data instanceof Float32Array ? data : new Float32Array();
}

/** Noise levels of N steps of Euler's method, evenly spaced in the logarithm. */
function levels(steps: number): number[] {
  return Array.from({ length: steps + 1 }, (_, i) =>
    i === steps ? 0 : 14.6 * (0.03 / 14.6) ** (i / (steps - 1)),
  );
}

/**
 * One image. Where the contestant loops, as the examples of ONNX Runtime and web-txt2img do: latents in one array, scaled and
 * doubled for guidance in each step, the result painted onto a canvas and encoded. Otherwise only the runs.
 */
async function makeImage(name: string, steps: number): Promise<void> {
  const ort = await runtime;
  const { loops } = contestants[name as keyof typeof contestants];
  const sessions = await (opened.get(name) ?? openSessions(name));
  const tokens = new Int32Array(2 * 77).fill(49407);
  tokens.set([49406, 736, 8088], 0);
  tokens.set([49406], 77);
  const encoded = await sessions.text_encoder.run({ input_ids: new ort.Tensor('int32', tokens, [2, 77]) });
  const context = await numbersOf(encoded['last_hidden_state']);
  const pooled = await numbersOf(encoded['text_embeds']);
  const noise = Float32Array.from({ length: COUNT }, (_, i) => Math.sin(i * 12.9898) * 1.4);
  const sigmas = levels(steps);
  const latents = noise.map((value) => value * (sigmas[0] ?? 1));
  for (let step = 0; step < steps; step++) {
    const [sigma = 1, next = 0] = [sigmas[step], sigmas[step + 1]];
    const sample = new Float32Array(2 * COUNT);
    const scaled = loops ? latents.map((value) => value / Math.sqrt(sigma * sigma + 1)) : noise;
    sample.set(scaled);
    sample.set(scaled, COUNT);
    const outputs = await sessions.unet.run({
      sample: new ort.Tensor('float32', sample, [2, ...CELLS]),
      timestep: new ort.Tensor('float32', Float32Array.of(999 * (1 - step / steps)), [1]),
      encoder_hidden_states: new ort.Tensor('float32', context, [2, 77, 256]),
      text_embeds: new ort.Tensor('float32', pooled, [2, 256]),
      time_ids: new ort.Tensor('float32', [...NATIVE_SIZE, ...NATIVE_SIZE], [2, 6]),
    });
    const predicted = await numbersOf(outputs['out_sample']);
    if (!loops) continue;
    for (let i = 0; i < COUNT; i++) {
      const [conditional = 0, unconditional = 0] = [predicted[i], predicted[i + COUNT]];
      const guided = unconditional + GUIDANCE * (conditional - unconditional);
      latents[i] = (latents[i] ?? 0) + guided * (next - sigma);
    }
  }
  const decoded = await sessions.vae_decoder.run({
    latent_sample: new ort.Tensor('float32', loops ? latents : noise, [1, ...CELLS]),
  });
  const pixels = await numbersOf(decoded['sample']);
  if (loops) await toPng(pixels);
}

async function toPng(planes: Float32Array): Promise<void> {
  const side = 256;
  const image = new ImageData(side, side);
  for (let i = 0; i < side * side; i++) {
    for (let channel = 0; channel < 3; channel++) {
      image.data[4 * i + channel] = 127.5 * ((planes[channel * side * side + i] ?? 0) + 1);
    }
    image.data[4 * i + 3] = 255;
  }
  const canvas = new OffscreenCanvas(side, side);
  canvas.getContext('2d')?.putImageData(image, 0, 0);
  await canvas.convertToBlob();
}

const worker = {
  /** Opens a contestant's sessions. */
  async open(name: string): Promise<void> {
    const sessions = opened.get(name) ?? openSessions(name);
    opened.set(name, sessions);
    await sessions;
  },
  /** Milliseconds of one image. */
  async image(name: string, steps: number): Promise<number> {
    const start = performance.now();
    await makeImage(name, steps);
    return performance.now() - start;
  },
};

export type FloorWorker = typeof worker;

expose(worker);
