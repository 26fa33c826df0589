import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { decodePng } from '#codecs/png.ts';
import { builtAddOn } from '#engine/models/built.ts';
import type { Model } from '#engine/models/model.ts';
import { openPackFiles } from '#engine/models/pack-files.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import { readImage } from '#engine/stages/pixels/read-image.ts';
import { clipImage } from '#imaging/clip-image.ts';
import { AppError } from '#protocol/error.ts';
import type {
  ControlSpec,
  GenerateJob,
  ImagePromptSpec,
  Init,
  Size,
  SizeConditioning,
} from '#protocol/job.ts';
import type { AddOnKind, AddOnPack } from '#protocol/model.ts';
import { textToImage } from '../../support/jobs.ts';
import { openNodeRuntime, readFrom } from '../../support/node-engine.ts';
import { relativeError } from '../../support/relative-error.ts';
import { hasTinyPipeline, openTinyPipeline } from '../../support/tiny-pipeline.ts';
import type { ParityCase } from '../case.ts';
import { compareGenerated, generateOne, imageFloats, type Made } from '../generated.ts';
import type { ImageCase, ImageKind, ImageReferences } from './image-kind.ts';

/** One call of a diffusers pipeline. */
interface PipelineCase extends ImageCase {
  pipeline: string;
  arguments: {
    scheduler: string;
    prompt: string;
    negative_prompt: string;
    num_inference_steps: number;
    guidance_scale: number;
    seed: number;
    width?: number;
    height?: number;
    strength?: number;
    padding_mask_crop?: number | null;
    controlnet_conditioning_scale?: number;
    control_guidance_start?: number;
    control_guidance_end?: number;
    guess_mode?: boolean;
    /** Height and width. */
    original_size?: [number, number];
    target_size?: [number, number];
    /** Top and left. */
    crops_coords_top_left?: [number, number];
    /** Of a run that a second model ends: where it takes over, and the seed of its beginning. */
    cut?: number;
    seed_base?: number;
  };
  ip_adapter_scale?: number;
}

/** What the pipelines that the app stands in for take: the names of images, and how strong a ControlNet is by default. */
interface Takes {
  control?: string;
  init?: string;
  mask?: string;
  strength?: number;
  isSdxl?: boolean;
}

const PIPELINES: Readonly<Record<string, Takes>> = {
  StableDiffusionPipeline: {},
  StableDiffusionXLImg2ImgPipeline: { init: 'image', isSdxl: true },
  StableDiffusionXLInpaintPipeline: { init: 'image', mask: 'mask_image', isSdxl: true },
  'StableDiffusionXLPipeline(denoising_end) then StableDiffusionXLImg2ImgPipeline(denoising_start)': {
    isSdxl: true,
  },
  StableDiffusionImg2ImgPipeline: { init: 'image' },
  StableDiffusionInpaintPipeline: { init: 'image', mask: 'mask_image' },
  StableDiffusionControlNetPipeline: { control: 'image' },
  StableDiffusionControlNetImg2ImgPipeline: { control: 'control_image', init: 'image', strength: 0.8 },
  StableDiffusionControlNetInpaintPipeline: {
    control: 'control_image',
    init: 'image',
    mask: 'mask_image',
    strength: 0.5,
  },
};

/** The call of the encoder alone that image prompts begin with. */
const IMAGE_EMBEDDING =
  'CLIPImageProcessor (shortest edge 56 bicubic, centre crop 56) then CLIPVisionModelWithProjection';

const CONTROLNET = 'controlnet';
const REFINER = 'refiner';
const IP_ADAPTER = 'ip-adapter';
const CLIP_VISION = 'clip-vision';
const IMAGE_PROMPT = 'ip_adapter_image';

/** The files of an add-on in a folder of references. */
const foldersOf = (root: string): Readonly<Record<string, string>> => ({
  [CONTROLNET]: join(root, 'models', CONTROLNET),
  [CLIP_VISION]: join(root, 'models', CLIP_VISION),
  [IP_ADAPTER]: join(root, 'images', IP_ADAPTER),
});

/**
 * Whole diffusers pipelines on the tiny networks, most of them at sizes that are not square and some whose latents cannot be
 * halved evenly: final latents and image.
 */
export const compare: ImageKind = async function* (references): AsyncGenerator<ParityCase> {
  if (!hasTinyPipeline(references.root)) return;
  const runtime = await openNodeRuntime();
  const models = {
    plain: await openTinyPipeline(runtime, references.root),
    inpainting: await openTinyPipeline(runtime, references.root, { unet: 'unet-inpaint-9ch' }),
    sdxl: await openTinyPipeline(runtime, references.root, { isRefiner: true }),
    refiner: await openTinyPipeline(runtime, references.root, { id: REFINER, isRefiner: true }),
  };
  for (const each of references.cases as readonly PipelineCase[]) {
    if (each.pipeline === IMAGE_EMBEDDING) {
      yield* compareEmbedding(runtime, references, each);
      continue;
    }
    const isSdxl = PIPELINES[each.pipeline]?.isSdxl === true;
    const model = isSdxl ? models.sdxl : each.id.endsWith('9ch') ? models.inpainting : models.plain;
    yield* compareGenerated(
      `images/${references.kind}/${each.id}`,
      () => generate(runtime, [model, models.refiner], references, each),
      () => readMade(references, each),
    );
  }
  for (const model of Object.values(models)) await model.release();
  await runtime.close();
};

async function readMade(references: ImageReferences, { images, tensors }: PipelineCase): Promise<Made> {
  return {
    latents: await references.tensor(tensors?.['latents'] ?? ''),
    image: imageFloats(references.file(images?.['result'] ?? '')),
  };
}

async function generate(
  runtime: Runtime,
  [model, refiner]: readonly [Model, Model],
  references: ImageReferences,
  reference: PipelineCase,
): Promise<Made> {
  const job = await jobOf(references, reference);
  const folders = foldersOf(references.root);
  const addOns = [
    ...(job.controls ? [addOnPack('controlnet', CONTROLNET, folders)] : []),
    ...(job.imagePrompts
      ? [addOnPack('ip-adapter', IP_ADAPTER, folders), addOnPack('clip-vision', CLIP_VISION, folders)]
      : []),
  ];
  return generateOne(runtime, model, job, addOns, ({ id }) => readFrom(folders[id] ?? ''), [refiner]);
}

/** The call as a job of the app. @throws AppError `unsupported_feature` for what the app does not do */
async function jobOf(references: ImageReferences, reference: PipelineCase): Promise<GenerateJob> {
  const { pipeline, arguments: call, ip_adapter_scale: adapter } = reference;
  const takes = PIPELINES[pipeline];
  if (!takes) throw new AppError('unsupported_feature', `There is no ${pipeline} yet.`);
  const input = (label = '') => references.input(reference.inputs?.[label] ?? '');
  const first = takes.init ?? takes.control;
  const job = textToImage({
    prompt: call.prompt,
    negativePrompt: call.negative_prompt,
    seeds: [BigInt(call.seed_base ?? call.seed)],
    steps: call.num_inference_steps,
    guidanceScale: call.guidance_scale,
    sampler: { family: 'diffusers', scheduler: call.scheduler, config: {} },
    ...sizeOf(call, first === undefined ? null : decodePng(new Uint8Array(await input(first).arrayBuffer()))),
    ...(call.strength !== undefined && { strength: call.strength }),
    ...(call.cut !== undefined && {
      refiner: { model: REFINER, switchAt: call.cut, counts: 'timestep' },
    }),
    sizeConditioning: sizesOf(call),
  });
  return {
    ...job,
    ...(takes.init !== undefined && {
      init: initOf(
        input(takes.init),
        takes.mask === undefined ? null : input(takes.mask),
        call.padding_mask_crop,
      ),
    }),
    ...(adapter !== undefined && { imagePrompts: [imagePromptOf(input(IMAGE_PROMPT), adapter)] }),
    ...(takes.control !== undefined && { controls: [controlOf(input(takes.control), call, takes)] }),
  };
}

function sizesOf({
  original_size: original,
  target_size: target,
  crops_coords_top_left: crop,
}: PipelineCase['arguments']): SizeConditioning {
  const size = ([height, width]: readonly [number, number]) => ({ width, height });
  return {
    ...(original && { original: size(original) }),
    ...(target && { target: size(target) }),
    ...(crop && { crop: { x: crop[1], y: crop[0] } }),
  };
}

/** Images without width and height are cut down to multiples of 8. */
function sizeOf({ width, height }: PipelineCase['arguments'], image: Size | null): Size {
  const cut = (side: number) => side - (side % 8);
  return { width: width ?? cut(image?.width ?? 0), height: height ?? cut(image?.height ?? 0) };
}

function initOf(image: Blob, mask: Blob | null, padding: number | null | undefined): Init {
  const common = { rules: 'diffusers', images: [image], fit: 'stretch' } as const;
  if (!mask) return { from: 'image', ...common };
  return {
    from: 'masked',
    ...common,
    mask: { kind: 'image', mask, invert: false },
    fill: 'original',
    blur: { x: 0, y: 0 },
    round: true,
    area: typeof padding === 'number' ? { padding } : 'whole',
    overlay: typeof padding === 'number',
  };
}

function controlOf(image: Blob, call: PipelineCase['arguments'], { strength = 1 }: Takes): ControlSpec {
  return {
    id: CONTROLNET,
    image,
    fit: 'stretch',
    preprocessor: { kind: 'none' },
    strength: call.controlnet_conditioning_scale ?? strength,
    start: call.control_guidance_start ?? 0,
    end: call.control_guidance_end ?? 1,
    balance: call.guess_mode === true ? 'control' : 'even',
  };
}

function imagePromptOf(image: Blob, weight: number): ImagePromptSpec {
  return { id: IP_ADAPTER, clipVision: CLIP_VISION, image, fit: 'crop', weight, start: 0, end: 1 };
}

function addOnPack(kind: AddOnKind, id: string, folders: Readonly<Record<string, string>>): AddOnPack {
  const folder = folders[id] ?? '';
  return {
    id,
    title: id,
    description: '',
    kind,
    family: kind === 'clip-vision' ? null : 'sd1',
    url: null,
    licence: { name: '' },
    credits: '',
    files: readdirSync(folder)
      .filter((path) => path !== 'io.safetensors')
      .map((path) => ({ path, sizeBytes: statSync(join(folder, path)).size, sha256: null })),
  };
}

/** The image as CLIP sees it, and its embedding. */
async function* compareEmbedding(
  runtime: Runtime,
  references: ImageReferences,
  { id, inputs, tensors }: PipelineCase,
): AsyncGenerator<ParityCase> {
  const name = `images/${references.kind}/${id}`;
  const tensor = (label: string) => references.tensor(tensors?.[label] ?? '');
  const folder = foldersOf(references.root)[CLIP_VISION] ?? '';
  const pack = addOnPack('clip-vision', CLIP_VISION, { [CLIP_VISION]: folder });
  const { networks } = await builtAddOn(pack, openPackFiles(pack, readFrom(folder)), null, runtime);
  const image = await readImage(references.input(inputs?.[IMAGE_PROMPT] ?? ''), 255);
  const { data, channels, height, width } = clipImage(image, 56, 'crop');
  const session = await networks.prepare('image_encoder', { loras: [], unet: {} }).open();
  const { image_embeds: embedding } = await session.run({
    pixel_values: { type: 'float32', data, dims: [1, channels, height, width] },
  });
  await session.release();
  const cases = [
    ['pixel_values', data, await tensor('pixel_values')],
    ['image_embeds', embedding?.data ?? new Float32Array(), await tensor('image_embeds')],
  ] as const;
  for (const [label, actual, expected] of cases) {
    yield {
      name: `${name} ${label}`,
      error: relativeError(actual, expected),
      tolerance: 1e-3,
      supported: true,
    };
  }
}
