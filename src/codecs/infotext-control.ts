import { pythonFloat } from './infotext.ts';

/** Infotext's names for how a control image is brought to size (sd-webui-controlnet, internal_controlnet/args.py). */
export const RESIZE_MODE_LABELS = {
  stretch: 'Just Resize',
  cover: 'Crop and Resize',
  contain: 'Resize and Fill',
} as const;

/** Infotext's names for which of prompt and control image counts more, same source. */
export const CONTROL_MODE_LABELS = {
  even: 'Balanced',
  prompt: 'My prompt is more important',
  control: 'ControlNet is more important',
} as const;

/** A preprocessor of the extension, by its name in its API. */
interface DescribedModule {
  kind: 'module';
  name: string;
  resolution: number;
  thresholdA: number;
  thresholdB: number;
}

/** A ControlNet and its image, as infotexts describe them. */
interface DescribedUnit {
  id: string;
  preprocessor: { kind: string; low?: number; high?: number } | DescribedModule;
  strength: number;
  start: number;
  end: number;
  fit: keyof typeof RESIZE_MODE_LABELS;
  balance: keyof typeof CONTROL_MODE_LABELS;
}

/** `canny [01234567]`. */
export function unitModelName(model: string, hash: string): string {
  return hash === '' ? model : `${model} [${hash.slice(0, 8)}]`;
}

/**
 * The value of the infotext's `ControlNet 0`.
 * @param hash the model's SHA-256, or as much as is known of it
 */
export function describeUnit(unit: DescribedUnit, hash: string): string {
  const { preprocessor } = unit;
  const isModule = 'name' in preprocessor;
  const [low, high] = isModule
    ? [preprocessor.thresholdA, preprocessor.thresholdB]
    : [preprocessor.low, preprocessor.high];
  const facts: Readonly<Record<string, string>> = {
    Module: isModule ? preprocessor.name : preprocessor.kind,
    Model: unitModelName(unit.id, hash),
    Weight: pythonFloat(unit.strength),
    'Resize Mode': RESIZE_MODE_LABELS[unit.fit],
    ...(isModule && { 'Processor Res': String(preprocessor.resolution) }),
    ...(low !== undefined && { 'Threshold A': pythonFloat(low) }),
    ...(high !== undefined && { 'Threshold B': pythonFloat(high) }),
    'Guidance Start': pythonFloat(unit.start),
    'Guidance End': pythonFloat(unit.end),
    // Other preprocessors than the extension's read the image at the size that is generated.
    'Pixel Perfect': isModule ? 'False' : 'True',
    'Control Mode': CONTROL_MODE_LABELS[unit.balance],
  };
  return Object.entries(facts)
    .map(([name, value]) => `${name}: ${value}`)
    .join(', ');
}

/** As {@link describeUnit} of an image prompt, which the extension has as a unit with an IP-Adapter. */
export function describeImagePrompt(
  { id, weight, start, end }: { id: string; weight: number; start: number; end: number },
  module: string,
  hash: string,
): string {
  const preprocessor = { kind: module };
  return describeUnit(
    { id, strength: weight, start, end, preprocessor, fit: 'cover', balance: 'even' },
    hash,
  );
}
