import {
  autoencoderLevels,
  currentAutoencoderModule,
  diffusersAutoencoderModule,
} from './autoencoder-names.ts';
import type { TensorInfo, TensorSource } from './tensor-source.ts';
import { type TensorView, viewTensors } from './tensor-views.ts';
import { clipTextName, openClipViews } from './text-encoder-names.ts';
import { diffusersUnetModule, layersPerBlock } from './unet-names.ts';
import { rrdbModule, rrdbOuterModules, rrdbTrunkModule } from './upscaler-names.ts';

/** A network of a file, by the folder diffusers keeps it in; `taesd`, `upscaler` and `ip_adapter` come alone. */
export type Component =
  | 'unet'
  | 'vae'
  | 'text_encoder'
  | 'text_encoder_2'
  | 'controlnet'
  | 'taesd'
  | 'upscaler'
  | 'image_encoder'
  | 'ip_adapter';

/** A file of weights as the networks in it. */
export interface Checkpoint {
  /** Each under the tensor names of diffusers and transformers. */
  components: ReadonlyMap<Component, TensorSource>;
  /** Tensors no network needs: averaged copies of the weights, training state, noise schedules. */
  leftOver: readonly string[];
}

/** How a tensor is seen; no view if the network does not use it. The name lacks the layout's prefix. */
type ViewsOf = (name: string, info: TensorInfo) => readonly TensorView[];

interface Layout {
  component: Component;
  prefix: string;
  /** Names, after the prefix, that are there only in this layout. */
  marks: readonly string[];
  views: (names: readonly string[]) => ViewsOf;
}

/** Names each module, keeping `.weight` and `.bias`. */
function byModule(rename: (module: string) => string | undefined): ViewsOf {
  return (name, { name: original, shape }) => {
    const dot = name.lastIndexOf('.');
    const module = rename(name.slice(0, dot));
    return module ? [{ name: module + name.slice(dot), original, shape }] : [];
  };
}

const asItIs = (): ViewsOf => (name, info) => [{ name, original: info.name, shape: info.shape }];

function originalUnet(names: readonly string[]): ViewsOf {
  const layers = layersPerBlock(names);
  return byModule((module) => diffusersUnetModule(module, layers));
}

/** The attention of the VAE is made of 1×1 convolutions in original files, of linear layers in diffusers. */
function withLinearAttention(views: ViewsOf): ViewsOf {
  return (name, info) =>
    views(name, info).map((view) => {
      const [rows = 1, columns = 1, ...kernel] = view.shape;
      const is1x1 = kernel.length > 0 && kernel.every((side) => side === 1);
      return is1x1 && view.name.includes('.attentions.') ? { ...view, shape: [rows, columns] } : view;
    });
}

function originalAutoencoder(names: readonly string[]): ViewsOf {
  const levels = autoencoderLevels(names);
  return withLinearAttention(byModule((module) => diffusersAutoencoderModule(module, levels)));
}

const clipText =
  (): ViewsOf =>
  (name, { name: original, shape }) => {
    const current = clipTextName(name);
    return current ? [{ name: current, original, shape }] : [];
  };

const openClip = (): ViewsOf => openClipViews;

/** TAESD's own files are bare Sequentials; diffusers leaves out the decoder's first layer, which has no weights. */
function bareTaesd(part: 'encoder' | 'decoder'): () => ViewsOf {
  const skipped = part === 'decoder' ? 1 : 0;
  return () => byModule((module) => module.replace(/^\d+/, (n) => `${part}.layers.${Number(n) - skipped}`));
}

/** Of a CLIP with both towers, the one that looks at images. */
const clipVision =
  (): ViewsOf =>
  (name, { name: original, shape }) =>
    /^(?:vision_model|visual_projection)\./.test(name) && !name.endsWith('.position_ids')
      ? [{ name, original, shape }]
      : [];

function nestedUpscaler(names: readonly string[]): ViewsOf {
  const outer = rrdbOuterModules(names);
  return byModule((module) => rrdbModule(module, outer));
}

/** A CompVis safety checker has its encoder one level down. What it compares with is no part of a network. */
const safetyVision = (): ViewsOf => (name, view) =>
  clipVision()(name.replace(/^vision_model\.(?=vision_model\.)/, ''), view);

const UNET_MARK = 'input_blocks.0.0.weight';
const CONTROLNET_MARK = 'input_hint_block.0.weight';
const CLIP_MARK = 'text_model.encoder.layers.0.mlp.fc1.weight';
const OPENCLIP_MARK = 'transformer.resblocks.0.attn.in_proj_weight';
/** Other programs' image encoders share the first part of these names, but neither the class token nor the typo. */
const CLIP_VISION_MARKS = [
  'vision_model.embeddings.class_embedding',
  'vision_model.embeddings.patch_embedding.weight',
  'vision_model.pre_layrnorm.weight',
];

/** The first layout with a prefix whose marks are there is the one; prefixes exclude one another, and `''` all. */
const LAYOUTS: readonly Layout[] = [
  { component: 'unet', prefix: 'model.diffusion_model.', marks: [UNET_MARK], views: originalUnet },
  { component: 'controlnet', prefix: 'control_model.', marks: [CONTROLNET_MARK], views: originalUnet },
  {
    component: 'vae',
    prefix: 'first_stage_model.',
    marks: ['decoder.conv_in.weight'],
    views: originalAutoencoder,
  },
  { component: 'text_encoder', prefix: 'cond_stage_model.transformer.', marks: [CLIP_MARK], views: clipText },
  {
    component: 'text_encoder',
    prefix: 'cond_stage_model.transformer.',
    marks: [CLIP_MARK.slice(11)],
    views: clipText,
  },
  { component: 'text_encoder', prefix: 'cond_stage_model.model.', marks: [OPENCLIP_MARK], views: openClip },
  {
    component: 'text_encoder',
    prefix: 'conditioner.embedders.0.transformer.',
    marks: [CLIP_MARK],
    views: clipText,
  },
  // SDXL's refiner has the second text encoder only.
  {
    component: 'text_encoder_2',
    prefix: 'conditioner.embedders.0.model.',
    marks: [OPENCLIP_MARK],
    views: openClip,
  },
  {
    component: 'text_encoder_2',
    prefix: 'conditioner.embedders.1.model.',
    marks: [OPENCLIP_MARK],
    views: openClip,
  },

  { component: 'controlnet', prefix: '', marks: [CONTROLNET_MARK], views: originalUnet },
  { component: 'controlnet', prefix: '', marks: ['controlnet_cond_embedding.conv_in.weight'], views: asItIs },
  { component: 'unet', prefix: '', marks: [UNET_MARK], views: originalUnet },
  {
    component: 'unet',
    prefix: '',
    marks: ['conv_in.weight', 'time_embedding.linear_1.weight'],
    views: asItIs,
  },
  { component: 'vae', prefix: '', marks: ['decoder.up.0.block.0.conv1.weight'], views: originalAutoencoder },
  {
    component: 'vae',
    prefix: '',
    marks: ['decoder.up_blocks.0.resnets.0.conv1.weight'],
    views: () => withLinearAttention(byModule(currentAutoencoderModule)),
  },
  { component: 'image_encoder', prefix: '', marks: CLIP_VISION_MARKS, views: clipVision },
  {
    component: 'image_encoder',
    prefix: '',
    marks: ['concept_embeds', ...CLIP_VISION_MARKS.map((mark) => `vision_model.${mark}`)],
    views: safetyVision,
  },
  { component: 'ip_adapter', prefix: '', marks: ['ip_adapter.1.to_k_ip.weight'], views: asItIs },
  // The built-in model's own networks.
  { component: 'vae', prefix: '', marks: ['latents.mean', 'dec.net.0.weight'], views: asItIs },
  { component: 'text_encoder', prefix: '', marks: ['tok.weight', 'blocks.0.qkv.weight'], views: asItIs },
  { component: 'text_encoder_2', prefix: '', marks: [CLIP_MARK, 'text_projection.weight'], views: clipText },
  { component: 'text_encoder', prefix: '', marks: [CLIP_MARK], views: clipText },
  { component: 'text_encoder_2', prefix: '', marks: [OPENCLIP_MARK], views: openClip },
  {
    component: 'taesd',
    prefix: '',
    marks: ['decoder.layers.0.weight', 'encoder.layers.0.weight'],
    views: asItIs,
  },
  { component: 'taesd', prefix: '', marks: ['1.weight', '3.conv.0.weight'], views: bareTaesd('decoder') },
  { component: 'taesd', prefix: '', marks: ['0.weight', '1.conv.0.weight'], views: bareTaesd('encoder') },
  // Training programs keep the weights, and an average of them, one level down.
  ...['', 'params_ema.', 'params.', 'module.'].flatMap((prefix): Layout[] => [
    {
      component: 'upscaler',
      prefix,
      marks: ['conv_first.weight', 'body.0.rdb1.conv1.weight'],
      views: asItIs,
    },
    {
      component: 'upscaler',
      prefix,
      marks: ['conv_first.weight', 'RRDB_trunk.0.RDB1.conv1.weight'],
      views: () => byModule(rrdbTrunkModule),
    },
    {
      component: 'upscaler',
      prefix,
      marks: ['model.0.weight', 'model.1.sub.0.RDB1.conv1.0.weight'],
      views: nestedUpscaler,
    },
  ]),
];

/**
 * The networks of a file of weights, recognised by its names: a whole checkpoint in the original layout (SD 1.x, 2.x,
 * SDXL and its refiner), or a single network in the original layout or that of diffusers. Names become those of
 * diffusers and transformers, and shapes theirs; nothing is read. A file of something else has no components.
 */
export function openCheckpoint(file: TensorSource): Checkpoint {
  const names = [...file.names()];
  const components = new Map<Component, TensorSource>();
  const used = new Set<string>();
  const seenPrefixes = new Set<string>();

  for (const { component, prefix, marks, views } of LAYOUTS) {
    if (seenPrefixes.has(prefix) || (prefix === '' && components.size > 0)) continue;
    // An average of the weights comes before the weights.
    if (component === 'upscaler' && components.has(component)) continue;
    if (!marks.every((mark) => file.info(prefix + mark))) continue;
    seenPrefixes.add(prefix);
    const stripped = names.filter((name) => name.startsWith(prefix)).map((name) => name.slice(prefix.length));
    const viewsOf = views(stripped);
    const found: TensorView[] = [];
    for (const name of stripped) {
      const info = file.info(prefix + name);
      if (info) found.push(...viewsOf(name, info));
    }
    for (const view of found) used.add(view.original);
    components.set(component, viewTensors(file, found));
  }
  return { components, leftOver: names.filter((name) => !used.has(name)) };
}
