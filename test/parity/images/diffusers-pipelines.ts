import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { decodePng } from '#codecs/png.ts';
import type { Model } from '#engine/models/model.ts';
import type { Runtime } from '#engine/runtime/runtime.ts';
import { AppError } from '#protocol/error.ts';
import type { ControlSpec, GenerateJob, Init, Size } from '#protocol/job.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { textToImage } from '../../support/jobs.ts';
import { openNodeRuntime, readFrom } from '../../support/node-engine.ts';
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
  };
  ip_adapter_scale?: number;
}

/** Which inputs the pipelines that the app stands in for take. */
const PIPELINES: Readonly<Record<string, { control?: string; init?: string; mask?: string }>> = {
  StableDiffusionImg2ImgPipeline: { init: 'image' },
  StableDiffusionInpaintPipeline: { init: 'image', mask: 'mask_image' },
  StableDiffusionControlNetPipeline: { control: 'image' },
  StableDiffusionControlNetImg2ImgPipeline: { control: 'control_image', init: 'image' },
  StableDiffusionControlNetInpaintPipeline: {
    control: 'control_image',
    init: 'image',
    mask: 'mask_image',
  },
};

const CONTROLNET = 'controlnet';

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
  };
  for (const each of references.cases as readonly PipelineCase[]) {
    const model = each.id.endsWith('9ch') ? models.inpainting : models.plain;
    yield* compareGenerated(
      `images/${references.kind}/${each.id}`,
      () => generate(runtime, model, references, each),
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
  model: Model,
  references: ImageReferences,
  reference: PipelineCase,
): Promise<Made> {
  const job = await jobOf(references, reference);
  const folder = join(references.root, 'models', CONTROLNET);
  return generateOne(runtime, model, job, job.controls ? [controlNetPack(folder)] : [], () =>
    readFrom(folder),
  );
}

/** The call as a job of the app. @throws AppError `unsupported_feature` for what the app does not do */
async function jobOf(references: ImageReferences, reference: PipelineCase): Promise<GenerateJob> {
  const { pipeline, arguments: call, ip_adapter_scale: adapter } = reference;
  const takes = PIPELINES[pipeline];
  const missing =
    (!takes && pipeline) ||
    (adapter !== undefined && 'IP-Adapters') ||
    (typeof call.padding_mask_crop === 'number' && 'only masked') ||
    (call.guess_mode === true && 'guess mode');
  if (!takes || missing) throw new AppError('unsupported_feature', `There is no ${String(missing)} yet.`);
  const input = (label = '') => references.input(reference.inputs?.[label] ?? '');
  const first = input(takes.init ?? takes.control);
  const job = textToImage({
    prompt: call.prompt,
    negativePrompt: call.negative_prompt,
    seeds: [BigInt(call.seed)],
    steps: call.num_inference_steps,
    guidanceScale: call.guidance_scale,
    sampler: { family: 'diffusers', scheduler: call.scheduler, config: {} },
    ...sizeOf(call, decodePng(new Uint8Array(await first.arrayBuffer()))),
    ...(call.strength !== undefined && { strength: call.strength }),
  });
  return {
    ...job,
    ...(takes.init !== undefined && { init: initOf(input(takes.init), takes.mask && input(takes.mask)) }),
    ...(takes.control !== undefined && { controls: [controlOf(input(takes.control), call)] }),
  };
}

/** Images without width and height are cut down to multiples of 8. */
function sizeOf({ width, height }: PipelineCase['arguments'], image: Size): Size {
  const cut = (side: number) => side - (side % 8);
  return { width: width ?? cut(image.width), height: height ?? cut(image.height) };
}

function initOf(image: Blob, mask: Blob | '' | undefined): Init {
  const common = { images: [image], fit: 'stretch' } as const;
  return mask ? { from: 'masked', ...common, mask } : { from: 'image', ...common };
}

function controlOf(image: Blob, call: PipelineCase['arguments']): ControlSpec {
  return {
    id: CONTROLNET,
    image,
    fit: 'stretch',
    preprocessor: { kind: 'none' },
    strength: call.controlnet_conditioning_scale ?? 1,
    start: call.control_guidance_start ?? 0,
    end: call.control_guidance_end ?? 1,
    balance: 'even',
  };
}

function controlNetPack(folder: string): AddOnPack {
  return {
    id: CONTROLNET,
    title: CONTROLNET,
    description: '',
    kind: 'controlnet',
    family: 'sd1',
    url: null,
    licence: { name: '' },
    credits: '',
    files: readdirSync(folder).map((path) => ({
      path,
      sizeBytes: statSync(join(folder, path)).size,
      sha256: null,
    })),
  };
}
