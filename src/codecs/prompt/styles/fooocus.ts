import type { StyleTexts } from './style-texts.ts';

/** Fooocus's own styles. Some only say what to avoid. */
export const fooocusStyles: StyleTexts = {
  'Fooocus Enhance': [
    '',
    'bad anatomy, malformed hands, extra limbs, blurry, low resolution, jpeg artifacts, watermark, signature, oversaturated, dull',
  ],
  'Fooocus Semi Realistic': [
    'semi-realistic digital painting of {prompt}, lifelike shading, soft skin tones, painted detail, gentle light',
    'flat colors, stiff pose, doll-like, lowres, bad proportions, watermark',
  ],
  'Fooocus Sharp': [
    'crisp photographic shot of {prompt}, razor-sharp focus, fine texture, clean edges, clear natural light',
    'soft focus, motion blur, haze, painting, drawing, cartoon, render, grain',
  ],
  'Fooocus Masterpiece': [
    'a master artwork of {prompt}, refined composition, rich detail, subtle color, expert light and shadow',
    'amateurish, unfinished, sloppy, lowres, bad anatomy, cropped, text, watermark',
  ],
  'Fooocus Photograph': [
    'photograph of {prompt}, full-frame camera, 50mm lens, natural colors, true-to-life texture, shallow depth of field',
    'drawing, painting, illustration, 3d render, anime, plastic skin, overprocessed',
  ],
  'Fooocus Negative': [
    '',
    'deformed, disfigured, extra fingers, missing limbs, crossed eyes, blurry, noisy, low quality, text, logo, watermark, cropped',
  ],
  'Fooocus Cinematic': [
    'film frame of {prompt}, anamorphic lens, dramatic key light, color-graded, deep shadows, storytelling composition',
    'cartoon, anime, illustration, flat light, snapshot, lowres, text, watermark',
  ],
  'Fooocus Pony': [
    'score_9, score_8_up, score_7_up, {prompt}',
    'score_4, score_5, score_6, source_pony, low quality, bad anatomy, watermark',
  ],
};
