import { latentLength, type PlaneBatch } from '#engine/stages/denoise/unet.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { inpaintFeature, type InpaintHead } from '#imaging/fooocus/inpaint-head.ts';
import { AppError } from '#protocol/error.ts';
import { encodeLatents } from './encode-latents.ts';
import { hide } from './hidden-images.ts';
import type { InitInput } from './init-latents.ts';
import type { PassSource } from './pass-source.ts';

/**
 * What a UNet with an inpaint patch is told of each image of a batch: its head's view of the mask and of the image with the masked
 * part in grey. Null without a patch. Source: Fooocus, modules/async_worker.py, `apply_inpaint`; modules/core.py, `encode_vae_inpaint`.
 * @throws AppError `invalid_request` for a head made for another UNet, and what the runtime throws
 */
export async function inpaintFeatures(run: RunContext, input: InitInput): Promise<PlaneBatch | null> {
  const { batch, pass, model, sources } = input;
  const head = pass.inpaintPatch?.head;
  if (!head) return null;
  const [, wanted] = model.unet.inputDims('inpaint_feature');
  if (wanted !== head.outputs || head.inputs !== pass.shape.channels + 1) {
    throw new AppError(
      'invalid_request',
      `The head of the inpaint patch was made for another model than ${model.pack.title}. Choose an SDXL checkpoint.`,
    );
  }
  const length = latentLength({ ...pass.shape, channels: head.outputs });
  const data = new Float32Array(batch.images.length * length);
  for (const index of batch.images.keys()) {
    const source = sources?.[index];
    const key = source?.content.kind === 'pixels' ? source.content.pixels : pass;
    const feature = pass.encoded.features.get(key) ?? (await featureOf(run, input, head, source));
    pass.encoded.features.set(key, feature);
    data.set(feature, index * length);
  }
  return { channels: head.outputs, data };
}

async function featureOf(
  run: RunContext,
  input: InitInput,
  head: InpaintHead,
  source: PassSource | undefined,
): Promise<Float32Array> {
  const { shape } = input.pass;
  const { visible, mask } = hide(input, source);
  const { mean } = await encodeLatents(run.runtime, input.model, visible);
  const latents = mean.map((value) => value * input.model.scalingFactor);
  return inpaintFeature(head, source?.mask?.cells(shape) ?? mask.data, { ...shape, data: latents }).data;
}
