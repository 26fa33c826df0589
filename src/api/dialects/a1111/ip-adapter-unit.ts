import { requireVisionModel } from '#api/image-prompts.ts';
import { findAddOn } from '#api/models.ts';
import { describeImagePrompt } from '#codecs/infotext-control.ts';
import type { InfotextPair } from '#codecs/infotext.ts';
import { AppError } from '#protocol/error.ts';
import type { ImagePromptSpec } from '#protocol/job.ts';
import type { AddOnInfo, VisionWidths } from '#protocol/model.ts';
import { fitsVisionModel, neededVisionModel } from '#protocol/vision-widths.ts';
import { httpException } from './errors.ts';

/** A preprocessor of the ControlNet extension that looks at images for IP-Adapters. */
interface IpAdapterModule {
  name: string;
  label: string;
  /** What the CLIP vision model it runs makes; null where the IP-Adapter decides. */
  vision: VisionWidths | null;
}

const VIT_H: VisionWidths = { embedding: 1024, patch: 1280 };
const VIT_G: VisionWidths = { embedding: 1280, patch: 1664 };

/** Source: ControlNet extension scripts/preprocessor, ip_adapter_auto.py and legacy/preprocessor_compiled.py. */
export const IP_ADAPTER_MODULES = {
  auto: { name: 'ip-adapter-auto', label: 'ip-adapter-auto', vision: null },
  clipH: { name: 'ip-adapter_clip_sd15', label: 'ip-adapter_clip_h', vision: VIT_H },
  clipG: { name: 'ip-adapter_clip_sdxl', label: 'ip-adapter_clip_g', vision: VIT_G },
  plusClipH: {
    name: 'ip-adapter_clip_sdxl_plus_vith',
    label: 'ip-adapter_clip_sdxl_plus_vith',
    vision: VIT_H,
  },
} as const satisfies Readonly<Record<string, IpAdapterModule>>;

/** A unit of the extension as far as image prompts go. */
interface IpAdapterUnit {
  module: string;
  model: string;
  weight: number;
  guidance_start: number;
  guidance_end: number;
}

/**
 * The IP-Adapter of a unit; undefined where it asks for a ControlNet.
 * @throws AppError in the extension's shape for a preprocessor and a model that do not go together
 */
export function findIpAdapter(
  { module, model }: IpAdapterUnit,
  addOns: readonly AddOnInfo[],
): AddOnInfo | undefined {
  const adapter = findAddOn(addOns, 'ip-adapter', model);
  const isForAdapters = /^ip-adapter/i.test(module.trim());
  if (adapter && !isForAdapters) {
    throw httpException(
      422,
      `module '${module}' makes nothing for the IP-Adapter '${adapter.pack.id}'. Use '${IP_ADAPTER_MODULES.auto.name}'.`,
    );
  }
  if (!isForAdapters || adapter) return adapter;
  const isOther = findAddOn(addOns, 'controlnet', model) !== undefined;
  throw httpException(
    422,
    isOther
      ? `module '${module}' needs an IP-Adapter, and model '${model}' is a ControlNet.`
      : `model(${model}) not found in supported models.`,
  );
}

/**
 * The image prompt of a unit with an IP-Adapter, and how it appears in the infotext as unit `index`.
 * @throws AppError in the extension's shape for another preprocessor than the IP-Adapter was trained with; `model_not_found`
 *   where its CLIP vision model is not installed; `unsupported_feature` for preprocessors of faces
 */
export function toImagePrompt(
  unit: IpAdapterUnit,
  adapter: AddOnInfo,
  image: Blob,
  { addOns, index }: { addOns: readonly AddOnInfo[]; index: number },
): { imagePrompt: ImagePromptSpec; pair: InfotextPair } {
  const { pack } = adapter;
  const { vision = {} } = pack;
  const module = requireIpAdapterModule(unit.module);
  if (module.vision && !fitsVisionModel(vision, module.vision)) {
    throw httpException(
      422,
      `module '${unit.module}' does not fit model '${pack.id}', which needs ${neededVisionModel(vision)}. Use '${IP_ADAPTER_MODULES.auto.name}'.`,
    );
  }
  const imagePrompt: ImagePromptSpec = {
    id: pack.id,
    clipVision: requireVisionModel(adapter, addOns).pack.id,
    image,
    fit: 'crop',
    weight: unit.weight,
    start: unit.guidance_start,
    end: unit.guidance_end,
  };
  const described = describeImagePrompt(imagePrompt, module.name, adapter.sha256);
  return { imagePrompt, pair: [`ControlNet ${index}`, described] };
}

function requireIpAdapterModule(name: string): IpAdapterModule {
  const wanted = name.trim().toLowerCase();
  const modules: readonly IpAdapterModule[] = Object.values(IP_ADAPTER_MODULES);
  const found = modules.find(({ name: own, label }) => [own, label].includes(wanted));
  if (found) return found;
  throw new AppError(
    'unsupported_feature',
    `'${name}' needs a network that recognises faces, which does not run here. Use '${IP_ADAPTER_MODULES.auto.name}' with a plus-face IP-Adapter.`,
    { detail: { parameter: 'controlnet' } },
  );
}
