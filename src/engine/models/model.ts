import type { AutoencoderPart, AutoencoderSplit } from '#engine/architectures/autoencoder-kl.ts';
import type { Runtime, Session } from '#engine/runtime/runtime.ts';
import type { EncodedChunks } from '#storage/encoded-chunks.ts';
import type { NoiseModel } from '#engine/samplers/noise-model.ts';
import type { ClipTokenizer } from '#engine/tokenizers/clip.ts';
import { AppError } from '#protocol/error.ts';
import { families } from '#protocol/families.ts';
import type { AddOnPack, ModelPack } from '#protocol/model.ts';
import type { AddOns, ChosenLora } from './add-ons.ts';
import { builtAddOn, builtNetworks } from './built.ts';
import { freeFeatures, withDeepCache, type DeepFeatures } from './deep-cache.ts';
import { exportedNetworks } from './exported.ts';
import { openIpAdapter, type ChosenIpAdapter, type OpenIpAdapter } from './ip-adapters.ts';
import { explainMisfit } from './misfit.ts';
import type { Networks, PreparedNetwork, TokenTable, UnetOptions } from './networks.ts';
import { openPackFiles, type PackFiles, type ReadFile } from './pack-files.ts';
import { createSessionCache } from './session-cache.ts';
import { openTokenizer } from './tokenizers.ts';

/** A text encoder and its padding after the end of the text. */
export interface TextEncoder {
  /** The same for what gives the same numbers. */
  key: string;
  /** Opens it on first use: texts that are known already need none. @throws what the runtime throws */
  open: () => Promise<Session>;
  padId: number;
  /** Undefined where no words can be added. */
  tokenTable: TokenTable | undefined;
}

/** A ControlNet ready to steer. */
export interface LoadedControlNet {
  session: Session;
  /** Whether it looks at its image as a whole (Shuffle), and must not affect the unconditional row of guidance. */
  isPooled: boolean;
}

/** A half of a VAE in two parts; see {@link AutoencoderPart}. Each is opened on first use. @throws what the runtime throws */
export interface VaeParts extends AutoencoderSplit {
  inner: () => Promise<Session>;
  outer: () => Promise<Session>;
}

/** Networks ready to generate with. */
export interface LoadedModel {
  pack: ModelPack;
  tokenizer: ClipTokenizer;
  /** One, or SDXL's two. The same list for the same networks. */
  textEncoders: readonly TextEncoder[];
  /** Where what they give is kept beyond this visit; undefined if nowhere. */
  encodedChunks: EncodedChunks | undefined;
  unet: Session;
  /** Those requested, in order. */
  controlNets: readonly LoadedControlNet[];
  vaeDecoder: Session;
  /**
   * The VAE's other half, opened on first use.
   * @throws AppError `unsupported_feature` if there is none, and what the runtime throws
   */
  vaeEncoder(): Promise<Session>;
  /** The VAE in parts, for images in tiles; undefined where it cannot be written so. */
  vaeParts(half: 'vae_decoder' | 'vae_encoder'): VaeParts | undefined;
  /**
   * The decoder of a TAESD that is installed for the model, opened on first use; undefined if none is.
   * @throws what the runtime throws
   */
  tinyDecoder(): Promise<Session | undefined>;
  /** Latents are divided by this before the VAE's decoder and multiplied after its encoder. */
  scalingFactor: number;
  /** Whether UNet and VAE take latents in float32, as they are in GPU buffers. */
  takesBuffers: boolean;
  noiseModel: NoiseModel;
}

/** What a job changes of a model. */
export interface ModelChanges {
  loras?: readonly ChosenLora[];
  /** Instead of the model's own. */
  vae?: AddOnPack | undefined;
  controlNets?: readonly AddOnPack[];
  ipAdapters?: readonly ChosenIpAdapter[];
  /** Only for networks the engine writes itself. */
  unet?: UnetOptions;
  /** See {@link withDeepCache}; likewise. */
  deepCache?: number | undefined;
}

/** A model on a runtime. Its networks exist once for each requested variant, as far as memory allows. */
export interface Model {
  pack: ModelPack;
  tokenizer: ClipTokenizer;
  noiseModel: NoiseModel;
  /** See {@link Networks.tokenTables}. */
  tokenTables: Networks['tokenTables'];
  /**
   * The networks, changed as requested; this may release those returned earlier.
   * @throws AppError `invalid_request` for LoRAs, ControlNets, IP-Adapters or a VAE that do not fit, `unsupported_feature` for finished
   *   graphs that would have to be written otherwise, and what the runtime throws
   */
  load(changes: ModelChanges, addOns: AddOns): Promise<LoadedModel>;
  /** See {@link Networks.matchLora}. */
  matchLora: Networks['matchLora'];
  release(): Promise<void>;
}

/** What samplers must know of a pack; needs none of its weights. @throws AppError `model_not_found` */
export async function readNoiseModel(pack: ModelPack, readFile: ReadFile): Promise<NoiseModel> {
  const schedulerConfig = await openPackFiles(pack, readFile).readJson('scheduler/scheduler_config.json');
  return { schedulerConfig, alignYourSteps: families[pack.family].alignYourSteps };
}

export interface ModelOptions {
  /** See {@link builtNetworks}. */
  foldedBytes?: number | undefined;
  /** See {@link LoadedModel}. */
  encodedChunks?: EncodedChunks | undefined;
}

/**
 * Opens a pack: tokenizer, scheduler configuration and what its networks are made of. Nothing is on the device yet.
 *
 * @throws AppError `model_not_found` when a file is missing, `integrity_failed` when one is not what it should be,
 *   `unsupported_feature` for networks the engine cannot run
 */
export async function openModel(
  pack: ModelPack,
  runtime: Runtime,
  readFile: ReadFile,
  { foldedBytes, encodedChunks }: ModelOptions = {},
): Promise<Model> {
  const files = openPackFiles(pack, readFile);
  const [networks, { tokenizer, padIds }, noiseModel] = await Promise.all([
    pack.weights === 'safetensors'
      ? builtNetworks(pack, files, runtime, foldedBytes)
      : exportedNetworks(pack, files, runtime),
    openTokenizer(files, pack.family),
    readNoiseModel(pack, readFile),
  ]);
  const cache = createSessionCache();
  const encoderNames = (['text_encoder', 'text_encoder_2'] as const).filter((name) => networks.has(name));
  let lastEncoders: readonly TextEncoder[] = [];
  const { provider, float16 } = runtime.backend;
  const keyOf = ({ key }: PreparedNetwork) => `${provider}|${String(float16)}|${key}`;
  const features: DeepFeatures = new Map();

  const model: Model = {
    pack,
    tokenizer,
    noiseModel,
    tokenTables: networks.tokenTables,
    matchLora: (lora) => networks.matchLora(lora),
    async load(asked, addOns) {
      const { loras = [], vae, controlNets = [], ipAdapters = [], unet: unetOptions = {}, deepCache } = asked;
      const isWrittenOtherwise =
        controlNets.length > 0 ||
        ipAdapters.length > 0 ||
        Object.keys(unetOptions).length > 0 ||
        deepCache !== undefined;
      if (pack.weights === 'onnx' && isWrittenOtherwise) {
        throw new AppError(
          'unsupported_feature',
          `${pack.title} consists of exported ONNX graphs, which cannot take a ControlNet, image prompts, tiling, FreeU, token merging, DeepCache or self-attention guidance. Turn these off, or choose a .safetensors checkpoint.`,
        );
      }
      const changes = {
        loras,
        unet: {
          ...unetOptions,
          ...(controlNets.length > 0 && { controlNet: true }),
          ...(ipAdapters.length > 0 && {
            ipAdapters: ipAdapters.map(({ images, tokens, parts }) => ({
              images,
              tokens,
              ...(parts && { parts }),
            })),
          }),
        },
        ipAdapters: await Promise.all(ipAdapters.map((chosen, index) => openAdapter(chosen, index, addOns))),
      };
      const autoencoder = vae ? await openAutoencoder(vae, addOns.files(vae)) : { networks, isTiny: false };
      const controls: { network: PreparedNetwork; isPooled: boolean }[] = [];
      for (const addOn of controlNets) {
        const { networks: own, isPooled } = await openControlNet(addOn, addOns.files(addOn));
        controls.push({ network: own.prepare('controlnet', changes), isPooled });
      }
      const unetWith = (options: UnetOptions) =>
        networks.prepare('unet', { ...changes, unet: { ...changes.unet, ...options } });
      const outer = deepCache === undefined ? [] : [unetWith({ deepFeature: 'given' })];
      freeFeatures(features);
      const encoders = encoderNames.map((name) => networks.prepare(name, changes));
      const [opened, vaeDecoder, ...rest] = await cache.open(
        [
          unetWith(deepCache === undefined ? {} : { deepFeature: 'kept' }),
          autoencoder.networks.prepare('vae_decoder', changes),
          ...outer,
          ...controls.map(({ network }) => network),
        ],
        encoders,
      );
      const [outerUnet] = outer.length > 0 ? rest : [];
      const unet =
        opened && outerUnet && deepCache !== undefined
          ? withDeepCache({ whole: opened, outer: outerUnet }, deepCache, runtime.device, features)
          : opened;
      if (!unet || !vaeDecoder) throw new AppError('internal', 'The model has no UNet or no VAE.');
      if (encoders.some((network, i) => keyOf(network) !== lastEncoders[i]?.key)) {
        lastEncoders = encoders.map((network, index) => ({
          key: keyOf(network),
          open: () => cache.add(network),
          padId: padIds[index] ?? tokenizer.padId,
          tokenTable: networks.tokenTables[index],
        }));
      }
      return {
        pack,
        tokenizer,
        textEncoders: lastEncoders,
        encodedChunks,
        unet,
        controlNets: rest
          .slice(outer.length)
          .map((session, i) => ({ session, isPooled: controls[i]?.isPooled ?? false })),
        vaeDecoder,
        async vaeEncoder() {
          if (autoencoder.networks.has('vae_encoder')) {
            return cache.add(autoencoder.networks.prepare('vae_encoder', changes));
          }
          throw new AppError(
            'unsupported_feature',
            `${(vae ?? pack).title} has no VAE encoder, so it cannot start from an image. Choose another checkpoint.`,
          );
        },
        vaeParts(half) {
          const split = autoencoder.networks.split(half);
          // Tiles have no opposite side to take borders from.
          if (!split || unetOptions.tiling === true) return undefined;
          const open = (part: AutoencoderPart) => () =>
            cache.add(autoencoder.networks.prepare(half, changes, part));
          return { inner: open('inner'), outer: open('outer'), ...split };
        },
        async tinyDecoder() {
          for (const addOn of addOns.ofKind('vae')) {
            if (explainMisfit(model, addOn) !== null) continue;
            const tiny = await openAutoencoder(addOn, addOns.files(addOn));
            if (tiny.isTiny) return cache.add(tiny.networks.prepare('vae_decoder', changes));
          }
          return undefined;
        },
        // TAESD takes latents at the scale the UNet has them.
        scalingFactor: autoencoder.isTiny ? 1 : pack.latent.scalingFactor,
        takesBuffers: [unet, vaeDecoder].every((session) =>
          session.inputNames.every((name) => session.inputType(name) !== 'float16'),
        ),
        noiseModel,
      };
    },
    async release() {
      freeFeatures(features);
      await cache.release();
    },
  };
  return model;

  async function openControlNet(
    addOn: AddOnPack,
    addOnFiles: PackFiles,
  ): Promise<{ networks: Networks; isPooled: boolean }> {
    const misfit = explainMisfit(model, addOn);
    if (misfit !== null)
      throw new AppError('invalid_request', `The ControlNet “${addOn.title}” has no effect: ${misfit}`);
    const { networks: own, configs } = await builtAddOn(addOn, addOnFiles, pack.family, runtime);
    return { networks: own, isPooled: configs.get('controlnet')?.['global_pool_conditions'] === true };
  }

  function openAdapter(
    { pack: addOn }: ChosenIpAdapter,
    index: number,
    addOns: AddOns,
  ): Promise<OpenIpAdapter> {
    const misfit = explainMisfit(model, addOn);
    if (misfit === null) return openIpAdapter(addOn, addOns.files(addOn), pack.family, index);
    return Promise.reject(
      new AppError('invalid_request', `The IP-Adapter “${addOn.title}” has no effect: ${misfit}`),
    );
  }

  async function openAutoencoder(
    vae: AddOnPack,
    vaeFiles: PackFiles,
  ): Promise<{ networks: Networks; isTiny: boolean }> {
    const { networks: own, configs } = await builtAddOn(vae, vaeFiles, pack.family, runtime);
    if (own.has('vae_decoder')) return { networks: own, isTiny: configs.has('taesd') };
    throw new AppError('invalid_request', `${vae.title} has no VAE decoder.`);
  }
}
