import { screenParameters, type BodyOf } from '#api/parameters.ts';
import type { OutpaintSide } from '#imaging/fooocus/outpaint.ts';
import type { Margins } from '#imaging/pixels.ts';
import * as v from 'valibot';
import type {
  ImagePromptBody,
  ImagePromptFormBody,
  InpaintBody,
  textToImageWithImagePrompts,
  UpscaleOrVaryBody,
} from './image-bodies.ts';
import type { SentImage } from './image-fields.ts';
import {
  enhancementBody,
  enhancementForm,
  MOST_ENHANCEMENTS,
  type EnhanceBody,
  type EnhanceFormBody,
  type Enhancement,
} from './tool-bodies.ts';

/** The images of a request and how to use them, for any route. */
export interface SentImages {
  upscaleOrVary?: { image: SentImage | null; method: string; factor: number | null };
  inpaint?: SentInpaint;
  enhance?: SentEnhance;
  prompts: readonly SentPrompt[];
}

/** An image whose regions are found and generated again. */
export interface SentEnhance {
  image: SentImage | null;
  /** Upscaling or varying, before the regions or after them. */
  method: string;
  isAfter: boolean;
  /** Whether that has the last enhancement's prompts. */
  keepsPrompts: boolean;
  /** Those that are switched on. */
  enhancements: readonly Enhancement[];
  /** Their parameters without effect. */
  withoutEffect: readonly string[];
}

/** What to inpaint or outpaint. */
export interface SentInpaint {
  image: SentImage | null;
  mask: SentImage | null;
  additionalPrompt: string;
  sides: readonly OutpaintSide[];
  distances: Margins;
}

/** An image prompt. */
export interface SentPrompt {
  /** Where the request has its image, names and indices with dots between them. */
  field: string;
  image: SentImage;
  /** Null or 0 where the type decides. */
  stop: number | null;
  weight: number | null;
  type: ImagePromptBody['image_prompts'][number]['cn_type'];
}

/** Image prompts of one request. Source: Fooocus modules/config.py, `default_controlnet_image_count`. */
const MOST_PROMPTS = 4;

/** Of routes that take none. */
export const noImages = (): SentImages => ({ prompts: [] });

/** Of text-to-image with image prompts. */
export function withImagePrompts({
  image_prompts: prompts,
}: BodyOf<typeof textToImageWithImagePrompts>): SentImages {
  return { prompts: promptsOf(prompts) };
}

/** Of upscaling and varying, as JSON or as a form. */
export function ofUpscaleOrVary(body: UpscaleOrVaryBody): SentImages {
  return {
    upscaleOrVary: { image: body.input_image, method: body.uov_method, factor: body.upscale_value },
    prompts: 'image_prompts' in body ? promptsOf(body.image_prompts) : [],
  };
}

/** Of inpainting and outpainting, as JSON or as a form; there has to be an image. */
export function ofInpaint(body: InpaintBody): SentImages {
  return { inpaint: inpaintOf(body), prompts: 'image_prompts' in body ? promptsOf(body.image_prompts) : [] };
}

/** Of image prompts as JSON, with inpainting where there is an image for it. */
export function ofImagePrompts(body: ImagePromptBody): SentImages {
  return { ...optionalInpaintOf(body), prompts: promptsOf(body.image_prompts) };
}

/** The same of a form. */
export function ofImagePromptForm(body: ImagePromptFormBody): SentImages {
  const prompts = [
    { cn_img: body.cn_img1, cn_stop: body.cn_stop1, cn_weight: body.cn_weight1, cn_type: body.cn_type1 },
    { cn_img: body.cn_img2, cn_stop: body.cn_stop2, cn_weight: body.cn_weight2, cn_type: body.cn_type2 },
    { cn_img: body.cn_img3, cn_stop: body.cn_stop3, cn_weight: body.cn_weight3, cn_type: body.cn_type3 },
    { cn_img: body.cn_img4, cn_stop: body.cn_stop4, cn_weight: body.cn_weight4, cn_type: body.cn_type4 },
  ];
  return {
    ...optionalInpaintOf(body),
    prompts: promptsOf(prompts, (index) => `cn_img${index + 1}`),
  };
}

/** Of image-enhance. */
export function ofEnhance(body: EnhanceBody): SentImages {
  const withoutEffect = body.enhance_ctrlnets.flatMap((each, index) =>
    screenParameters(enhancementBody, each, each).map((name) => `enhance_ctrlnets.${index}.${name}`),
  );
  return enhanceOf(body, body.enhance_ctrlnets, withoutEffect);
}

/** The same of a form. */
export function ofEnhanceForm(body: EnhanceFormBody): SentImages {
  const numbers = Array.from({ length: MOST_ENHANCEMENTS }, (_, index) => index + 1);
  const enhancements = numbers.map((number) => {
    const own = Object.entries(body).flatMap(([name, value]) =>
      name.endsWith(`_${number}`) ? [[name.slice(0, -2), value] as const] : [],
    );
    return v.parse(enhancementForm.schema, Object.fromEntries(own));
  });
  return enhanceOf(body, enhancements, []);
}

function enhanceOf(
  body: EnhanceBody | EnhanceFormBody,
  enhancements: readonly Enhancement[],
  withoutEffect: readonly string[],
): SentImages {
  return {
    enhance: {
      image: body.enhance_input_image,
      method: body.enhance_uov_method,
      isAfter: body.enhance_uov_processing_order === 'After Last Enhancement',
      keepsPrompts: body.enhance_uov_prompt_type === 'Last Filled Enhancement Prompts',
      enhancements: enhancements
        .slice(0, MOST_ENHANCEMENTS)
        .filter(({ enhance_enabled: isEnabled }) => isEnabled),
      withoutEffect,
    },
    prompts: [],
  };
}

function optionalInpaintOf(body: ImagePromptBody | ImagePromptFormBody): { inpaint?: SentInpaint } {
  return body.input_image === null ? {} : { inpaint: inpaintOf(body) };
}

function inpaintOf(body: InpaintBody | ImagePromptBody | ImagePromptFormBody): SentInpaint {
  return {
    image: body.input_image,
    mask: body.input_mask,
    additionalPrompt: body.inpaint_additional_prompt,
    sides: body.outpaint_selections.map((side) => side.toLowerCase() as Lowercase<typeof side>),
    distances: {
      left: body.outpaint_distance_left,
      top: body.outpaint_distance_top,
      right: body.outpaint_distance_right,
      bottom: body.outpaint_distance_bottom,
    },
  };
}

type BodyPrompt = Omit<ImagePromptBody['image_prompts'][number], 'cn_img' | 'cn_stop' | 'cn_weight'> & {
  cn_img: SentImage | null;
  cn_stop: number | null;
  cn_weight: number | null;
};

function promptsOf(
  prompts: readonly BodyPrompt[],
  fieldOf = (index: number) => `image_prompts.${index}.cn_img`,
): SentPrompt[] {
  return prompts
    .flatMap(({ cn_img: image, cn_stop: stop, cn_weight: weight, cn_type: type }, index) =>
      image === null ? [] : [{ field: fieldOf(index), image, stop, weight, type }],
    )
    .slice(0, MOST_PROMPTS);
}
