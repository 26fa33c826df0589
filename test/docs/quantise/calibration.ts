import type { ConfigJson } from '#engine/architectures/config.ts';
import { createTorchCpuGenerator } from '#engine/random/torch-cpu.ts';
import { CHUNK_LENGTH, clipVocabulary, createClipTokenizer } from '#engine/tokenizers/clip.ts';
import type { Numbers, Session } from '../../support/onnx-session.ts';
import { openNetwork, type Weights } from './networks.ts';

/** The weights of the built-in model's networks, by file, and what describes them. */
export interface BuiltIn {
  weights: Readonly<Record<'text_encoder' | 'unet' | 'vae', Weights>>;
  unetConfig: ConfigJson;
  merges: string;
}

/** What the model is asked to generate to see how much an error of a weight matters. */
const PROMPTS = [
  'red apple, 3d',
  'purple octopus on a yellow background',
  'cat and umbrella, flat design',
  'house, line art',
];
const STEPS = 8;
const GUIDANCE = 4;
/** The step of each prompt's generation at which the UNet is looked at: early, in the middle, late. */
const LOOKED_AT = [1, 3, 5, 7];

/** Ten per cent of error in the pooled text, which images are compared with, are like one in a prediction. */
const POOLED_COUNTS = 0.01;

/** The networks of the model. */
export type BuiltInNetwork = 'text_encoder' | 'unet' | 'vae_decoder' | 'vae_encoder';

/** Inputs that a network gets when images are generated, and what it makes of them. */
export interface Calibration {
  /** Runs a network with other weights. @returns its outputs' squared error, relative to their power */
  errorOf(network: BuiltInNetwork, weights: Weights): Promise<number>;
  release(): Promise<void>;
}

/** α and σ of SD 1.x's schedule (scaled linear betas, 1000 of them). */
function noiseLevels(): { alpha: number; sigma: number }[] {
  const [first, last] = [Math.sqrt(0.00085), Math.sqrt(0.012)];
  let product = 1;
  return Array.from({ length: 1000 }, (_, t) => {
    product *= 1 - (first + ((last - first) * t) / 999) ** 2;
    return { alpha: Math.sqrt(product), sigma: Math.sqrt(1 - product) };
  });
}

interface State {
  sample: Float32Array<ArrayBuffer>;
  timestep: number;
  ids: Int32Array;
}

/**
 * Generates a few images with exact weights (DDIM, v-prediction) and keeps what each network was given. The error of the
 * UNet, and of the text encoder as the UNet shows it, is that of the guided prediction; those of the VAE's halves are of
 * the image and of the latents.
 */
export async function calibrate({ weights, unetConfig, merges }: BuiltIn): Promise<Calibration> {
  const tokenizer = createClipTokenizer(clipVocabulary(merges), merges);
  const idsOf = (prompt: string): Int32Array => {
    const ids = new Int32Array(2 * CHUNK_LENGTH).fill(tokenizer.endId);
    ids[0] = tokenizer.startId;
    ids.set([tokenizer.startId, ...tokenizer.encode(prompt)], CHUNK_LENGTH);
    return ids;
  };
  const textEncoder = await openNetwork('text_encoder', {}, weights.text_encoder);
  const unet = await openNetwork('unet', unetConfig, weights.unet);
  const decoder = await openNetwork('vae_decoder', {}, weights.vae);
  const encoder = await openNetwork('vae_encoder', {}, weights.vae);

  const channels = Number(unetConfig['in_channels']);
  const side = Number(unetConfig['sample_size']);
  const elements = channels * side * side;
  const levels = noiseLevels();

  const read = async (text: Session, ids: Int32Array) => {
    const { last_hidden_state: context, text_embeds: pooled } = await text.run({
      input_ids: { data: ids, shape: [2, CHUNK_LENGTH] },
    });
    if (!context || !pooled) throw new Error('The text encoder lacks an output.');
    return { context, pooled };
  };
  const guided = async (
    { sample, timestep, ids }: State,
    { text = textEncoder, network = unet }: { text?: Session; network?: Session } = {},
  ): Promise<Float32Array> => {
    const { context, pooled } = await read(text, ids);
    const twice = new Float32Array(2 * elements);
    twice.set(sample);
    twice.set(sample, elements);
    const pixels = 16 * side;
    const size = [pixels, pixels, 0, 0, pixels, pixels];
    const added: Record<string, Numbers> =
      unetConfig['addition_embed_type'] === 'text_time'
        ? { text_embeds: pooled, time_ids: { data: Float32Array.from([...size, ...size]), shape: [2, 6] } }
        : {};
    const { out_sample: out } = await network.run({
      sample: { data: twice, shape: [2, channels, side, side] },
      timestep: { data: Float32Array.of(timestep), shape: [1] },
      encoder_hidden_states: context,
      ...added,
    });
    if (!out) throw new Error('The UNet gave nothing.');
    return Float32Array.from({ length: elements }, (_, i) => {
      const plain = out.data[i] ?? 0;
      return plain + GUIDANCE * ((out.data[i + elements] ?? 0) - plain);
    });
  };

  const states: State[] = [];
  const latents: Float32Array[] = [];
  for (const [index, prompt] of PROMPTS.entries()) {
    const random = createTorchCpuGenerator(BigInt(index));
    const ids = idsOf(prompt);
    let sample = Float32Array.from(random.randn(elements));
    for (let step = 0; step < STEPS; step++) {
      const timestep = Math.round(999 - (999 * step) / STEPS);
      const now = levels[timestep] ?? { alpha: 1, sigma: 0 };
      const next =
        step + 1 === STEPS
          ? { alpha: 1, sigma: 0 }
          : (levels[Math.round(999 - (999 * (step + 1)) / STEPS)] ?? now);
      const state = { sample, timestep, ids };
      if (LOOKED_AT[index] === step) states.push(state);
      const prediction = await guided(state);
      sample = sample.map((x, i) => {
        const v = prediction[i] ?? 0;
        return next.alpha * (now.alpha * x - now.sigma * v) + next.sigma * (now.alpha * v + now.sigma * x);
      });
    }
    latents.push(sample);
  }

  const only = async (session: Session, input: Record<string, Numbers>): Promise<Float32Array> => {
    const [output] = Object.values(await session.run(input));
    if (!output) throw new Error('The network gave nothing.');
    return output.data;
  };
  const decode = (session: Session, data: Float32Array) =>
    only(session, { latent_sample: { data, shape: [1, channels, side, side] } });
  const encode = (session: Session, data: Float32Array) => {
    const pixels = Math.sqrt(data.length / 3);
    return only(session, { sample: { data, shape: [1, 3, pixels, pixels] } });
  };

  /** What a network, opened with some weights, makes of its inputs. */
  const outputsOf = async (network: BuiltInNetwork, session: Session): Promise<Outputs> => {
    const shown: Float32Array[] = [];
    const pooled: Float32Array[] = [];
    if (network === 'vae_decoder') for (const each of decoded) shown.push(await decode(session, each));
    else if (network === 'vae_encoder') for (const each of images) shown.push(await encode(session, each));
    else if (network === 'unet')
      for (const each of states) shown.push(await guided(each, { network: session }));
    else {
      for (const each of states) {
        shown.push(await guided(each, { text: session }));
        pooled.push((await read(session, each.ids)).pooled.data);
      }
    }
    return { shown, pooled };
  };

  const decoded = latents.slice(0, 2);
  const images: Float32Array[] = [];
  for (const each of decoded) images.push(await decode(decoder, each));
  const expected = {
    text_encoder: await outputsOf('text_encoder', textEncoder),
    unet: await outputsOf('unet', unet),
    vae_decoder: await outputsOf('vae_decoder', decoder),
    vae_encoder: await outputsOf('vae_encoder', encoder),
  };
  await decoder.release();
  await encoder.release();

  return {
    async errorOf(network, changed) {
      const session = await openNetwork(network, network === 'unet' ? unetConfig : {}, changed);
      const { shown, pooled } = await outputsOf(network, session);
      await session.release();
      return (
        squaredError(shown, expected[network].shown) +
        POOLED_COUNTS * squaredError(pooled, expected[network].pooled)
      );
    },
    async release() {
      await textEncoder.release();
      await unet.release();
    },
  };
}

interface Outputs {
  /** What comes of the network: guided predictions, images or latents. */
  shown: Float32Array[];
  /** The text encoder's pooled output. */
  pooled: Float32Array[];
}

/** Mean over the outputs of squared differences, divided by the spread of what is expected. */
function squaredError(outputs: readonly Float32Array[], expected: readonly Float32Array[]): number {
  let total = 0;
  for (const [index, values] of expected.entries()) {
    const output = outputs[index] ?? new Float32Array();
    const mean = values.reduce((sum, value) => sum + value, 0) / values.length;
    let error = 0;
    let power = 0;
    for (let i = 0; i < values.length; i++) {
      error += ((output[i] ?? NaN) - (values[i] ?? 0)) ** 2;
      power += ((values[i] ?? 0) - mean) ** 2;
    }
    total += error / power / expected.length;
  }
  return total;
}
