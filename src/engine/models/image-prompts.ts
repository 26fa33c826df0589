import { ConfigReader } from '#engine/architectures/config.ts';
import type { FloatTensor, Runtime, Session, TensorValue } from '#engine/runtime/runtime.ts';
import type { Planes } from '#imaging/planes.ts';
import { AppError } from '#protocol/error.ts';
import type { AddOnPack, VisionWidths } from '#protocol/model.ts';
import { fitsVisionModel, neededVisionModel } from '#protocol/vision-widths.ts';
import { packKey, type AddOns } from './add-ons.ts';
import { builtAddOn } from './built.ts';
import type { PreparedNetwork } from './networks.ts';

/** The tokens that an IP-Adapter makes of an image for a UNet. */
export interface ImageTokens {
  count: number;
  /** Numbers of a token. */
  width: number;
  /** What rows with the prompt are shown: token after token. */
  shown: Float32Array;
  /** What unconditional rows are shown: the same of an image that says nothing. */
  hidden: Float32Array;
}

/** An image prompt, and the networks that look at its image. */
export interface ImagePromptSource {
  adapter: AddOnPack;
  clipVision: AddOnPack;
  /** The same for the same image, brought to the same square. */
  imageKey: string;
  /** The image as CLIP sees it at so many pixels a side. */
  planes: (side: number) => Promise<Planes>;
}

/** The networks of image prompts on a runtime; they are on the device only while they look at an image. */
export interface ImagePromptNetworks {
  /**
   * @throws AppError `invalid_request` for an IP-Adapter and a CLIP vision model that do not fit, `unsupported_feature` for
   *   files of something else, and what reading the image and the runtime throw
   */
  look(source: ImagePromptSource, addOns: AddOns): Promise<ImageTokens>;
}

/** What was made of so many images is kept: the same image comes again with other prompts, steps and seeds. */
const KEPT_IMAGES = 16;

/** Opens image prompts' networks on a runtime on demand. */
export function createImagePromptNetworks(runtime: Runtime): ImagePromptNetworks {
  const kept = new Map<string, ImageTokens>();

  async function make(
    { adapter, clipVision, planes }: ImagePromptSource,
    addOns: AddOns,
  ): Promise<ImageTokens> {
    const projection = await builtAddOn(adapter, addOns.files(adapter), null, runtime);
    const encoder = await builtAddOn(clipVision, addOns.files(clipVision), null, runtime);
    const config = projection.configs.get('ip_adapter');
    const sees = encoder.configs.get('image_encoder');
    if (!config) throw new AppError('unsupported_feature', `${adapter.title} is not an IP-Adapter.`);
    if (!sees) throw new AppError('unsupported_feature', `${clipVision.title} is not a CLIP vision model.`);
    const reads = config['reads'] === 'image_embeds' ? 'image_embeds' : 'hidden_states';
    const width = new ConfigReader(config, 'IP-Adapter').number('input_width');
    const needed = reads === 'image_embeds' ? { embedding: width } : { patch: width };
    if (!fitsVisionModel(needed, widthsOf(sees))) {
      throw new AppError(
        'invalid_request',
        `The IP-Adapter “${adapter.title}” does not fit the CLIP vision model “${clipVision.title}”. It needs ${neededVisionModel(needed)}: install that in Models.`,
      );
    }
    const side = new ConfigReader(sees, 'CLIPVisionModel').number('image_size', 224);
    const changes = { loras: [], unet: {} };
    const { data } = await planes(side);
    // An embedding of zeros says nothing; of a network's own layers, what it makes of an image of zeros.
    const count = reads === 'image_embeds' ? 1 : 2;
    const pixels = new Float32Array(count * data.length);
    pixels.set(data);
    const seen = await withSession(encoder.networks.prepare('image_encoder', changes), async (session) => {
      const outputs = await session.run({
        pixel_values: { type: 'float32', data: pixels, dims: [count, 3, side, side] },
      });
      const name = session.outputNames.find((each) => each.startsWith(reads));
      const output = name === undefined ? undefined : outputs[name];
      if (output) return output;
      throw new AppError(
        'unsupported_feature',
        `${clipVision.title} has no projection, which the IP-Adapter “${adapter.title}” reads. Install ${neededVisionModel(needed)} in Models.`,
      );
    });
    const input = reads === 'image_embeds' ? withZeros(seen) : { type: 'float32' as const, ...seen };
    return withSession(projection.networks.prepare('image_projection', changes), async (session) => {
      const { ip_hidden_states: output } = await session.run({ [reads]: input });
      return halves(output, adapter);
    });
  }

  return {
    async look(source, addOns) {
      const key = [packKey(source.adapter), packKey(source.clipVision), source.imageKey].join('|');
      const tokens = kept.get(key) ?? (await make(source, addOns));
      kept.delete(key);
      kept.set(key, tokens);
      const [oldest] = kept.keys();
      if (kept.size > KEPT_IMAGES && oldest !== undefined) kept.delete(oldest);
      return tokens;
    },
  };
}

/** Opens a network, and closes it again whatever happens. */
async function withSession<T>(network: PreparedNetwork, work: (session: Session) => Promise<T>): Promise<T> {
  const session = await network.open();
  try {
    return await work(session);
  } finally {
    await session.release();
  }
}

function widthsOf(config: Readonly<Record<string, unknown>>): VisionWidths {
  const { projection_dim: embedding, hidden_size: patch } = config;
  return {
    ...(typeof embedding === 'number' && { embedding }),
    ...(typeof patch === 'number' && { patch }),
  };
}

/** The embedding of an image, and one of zeros. */
function withZeros({ data }: FloatTensor): TensorValue {
  const both = new Float32Array(2 * data.length);
  both.set(data);
  return { type: 'float32', data: both, dims: [2, data.length] };
}

/** The tokens of the image, and those of the image that says nothing. */
function halves(tokens: FloatTensor | undefined, { title }: AddOnPack): ImageTokens {
  const [, count = 0, width = 0] = tokens?.dims ?? [];
  const length = count * width;
  if (!tokens || tokens.data.length !== 2 * length || !tokens.data.every(Number.isFinite)) {
    throw new AppError(
      'not_a_number',
      `The IP-Adapter “${title}” made nothing of the image. Try another one, or run on the CPU.`,
    );
  }
  return { count, width, shown: tokens.data.slice(0, length), hidden: tokens.data.slice(length) };
}
