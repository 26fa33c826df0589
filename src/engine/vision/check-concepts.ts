import { ConfigReader } from '#engine/architectures/config.ts';
import { builtAddOn } from '#engine/models/built.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { readFloat32 } from '#weights/casts.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { clipImage } from '#imaging/clip-image.ts';
import { toRgbOnWhite, type Pixels } from '#imaging/pixels.ts';
import { AppError } from '#protocol/error.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { showsConcepts } from './safety-concepts.ts';

/**
 * Whether an image is not safe for work, by an imported CompVis safety checker.
 * @throws AppError `unsupported_feature` for a pack of something else, and what the runtime throws
 */
export async function isUnsafeByConcepts(run: RunContext, pack: AddOnPack, pixels: Pixels): Promise<boolean> {
  const files = run.addOns.files(pack);
  const { networks, configs } = await builtAddOn(pack, files, null, run.runtime);
  const config = configs.get('image_encoder');
  const file = pack.files.find(({ path }) => path.endsWith('.safetensors'));
  if (!config || !file) throw noChecker(pack);
  const side = new ConfigReader(config, 'CLIPVisionModel').number('image_size', 224);
  const session = await run.vision.openNetwork(networks.prepare('image_encoder', { loras: [], unet: {} }));
  const { data } = clipImage(toRgbOnWhite(pixels), side, 'crop');
  const { image_embeds: embedding } = await session.run({
    pixel_values: { type: 'float32', data, dims: [1, 3, side, side] },
  });
  if (!embedding) throw noChecker(pack);
  const weights = await openSafetensors(await files.read(file.path), pack.title);
  return showsConcepts(embedding.data, {
    concepts: await readFloat32(weights, 'concept_embeds'),
    limits: await readFloat32(weights, 'concept_embeds_weights'),
    specialCare: await readFloat32(weights, 'special_care_embeds'),
    specialCareLimits: await readFloat32(weights, 'special_care_embeds_weights'),
  });
}

function noChecker(pack: AddOnPack): AppError {
  return new AppError(
    'unsupported_feature',
    `${pack.title} is not a safety checker that can be run here. Choose another one.`,
    { detail: { model: pack.id } },
  );
}
