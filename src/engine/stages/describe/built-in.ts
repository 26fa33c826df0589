import { openVisionNetworks } from '#engine/vision/open-network.ts';
import { findAddOn } from '#engine/stages/resolve/find-pack.ts';
import type { RunContext } from '#engine/stages/run/context.ts';
import { signedPlanes } from '#imaging/a1111/img2img-result.ts';
import { resize } from '#imaging/pillow/resize.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { readFloat32 } from '#weights/casts.ts';
import { dequantiseTensors } from '#weights/quantise.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { isRecord } from '#codecs/json.ts';
import type { BuiltInDescriber } from '#protocol/describer.ts';
import { AppError } from '#protocol/error.ts';
import { INCLUDED } from '#protocol/included.ts';
import type { TextArtifact } from '#protocol/job.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { rankPhrases, toPrompt, toTags, type Phrases } from './phrases.ts';
import { padToSquare } from './square.ts';
import { writeTags } from './tag-text.ts';

/** Pixels of the images the built-in model generates. */
const SIDE = 256;

/** What else would be needed. */
const LIMITS: Readonly<Record<BuiltInDescriber['as'], string>> = {
  prompt:
    'The included describer was used, which knows only images of the built-in model. Install a caption model in Models for others.',
  tags: 'The included describer was used, which knows only images of the built-in model. Install a tagger, such as WD14, in Models for others.',
};

/**
 * Names what an image of the built-in model shows: its VAE and the image half of its CLIP pair embed the image, and the words
 * of the pack whose embeddings are nearest win.
 * @param pixels RGB
 * @throws AppError `model_not_found` where the pack is not installed, and what the runtime throws
 */
export async function describeByBuiltIn(
  run: RunContext,
  { describer, pixels }: { describer: BuiltInDescriber; pixels: Pixels },
): Promise<Omit<TextArtifact, 'kind'>> {
  const pack = findAddOn(run, INCLUDED.describer.kind, INCLUDED.describer.id);
  const [encoder, head] = await openVisionNetworks(run, pack, ['vae_encoder.onnx', 'image_head.onnx']);
  const phrases = await readPhrases(run, pack);
  run.progress.describing();
  run.note(LIMITS[describer.as]);
  const { data } = signedPlanes(resize(padToSquare(pixels), { width: SIDE, height: SIDE }, 'lanczos'));
  const encoded = await encoder?.run({ sample: { type: 'float32', data, dims: [1, 3, SIDE, SIDE] } });
  const latents = encoded?.['latent_sample'];
  const embedded =
    latents &&
    (await head?.run({ latent_sample: { type: 'float32', data: latents.data, dims: latents.dims } }));
  const seen = rankPhrases(embedded?.['image_embeds']?.data ?? new Float32Array(), phrases);
  const tags = toTags(seen);
  const text = describer.as === 'prompt' ? toPrompt(seen) : writeTags(tags, describer.rules);
  return { text, tags, describer: pack.id };
}

async function readPhrases({ addOns }: RunContext, pack: AddOnPack): Promise<Phrases> {
  const files = addOns.files(pack);
  const vectors = dequantiseTensors(
    await openSafetensors(await files.read('phrases.safetensors'), 'phrases.safetensors'),
  );
  const rowsOf = async (name: keyof Phrases['vectors']) => {
    const [rows = 0, width = 0] = vectors.info(name)?.shape ?? [];
    const data = await readFloat32(vectors, name);
    return Array.from({ length: rows }, (_, row) => data.subarray(row * width, (row + 1) * width));
  };
  const words = await files.readJson('phrases.json');
  const things = words['things'];
  const styles = words['styles'];
  const colors = words['colors'];
  if (!isThings(things) || !isTexts(styles) || !isTexts(colors)) {
    throw new AppError('integrity_failed', `${pack.title} is damaged. Remove it in Models and try again.`, {
      detail: { model: pack.id },
    });
  }
  return {
    things,
    styles,
    colors,
    vectors: {
      things: await rowsOf('things'),
      styles: await rowsOf('styles'),
      colors: await rowsOf('colors'),
      backgrounds: await rowsOf('backgrounds'),
    },
  };
}

function isTexts(value: unknown): value is string[] {
  return Array.isArray(value) && value.every((each) => typeof each === 'string');
}

function isThings(value: unknown): value is Phrases['things'] {
  return (
    Array.isArray(value) &&
    value.every(
      (each: unknown) => isRecord(each) && typeof each['name'] === 'string' && isTexts(each['keywords']),
    )
  );
}
