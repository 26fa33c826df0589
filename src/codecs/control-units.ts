import { pythonFloat } from './infotext.ts';

/*
 * The words of A1111's ControlNet extension (Mikubill/sd-webui-controlnet, internal_controlnet/args.py), in requests and
 * in infotexts.
 */

/** How a control image is brought to size, with the name it had before. */
export const RESIZE_MODES = [
  ['Just Resize', 'stretch', ''],
  ['Crop and Resize', 'cover', 'Inner Fit (Scale to Fit)'],
  ['Resize and Fill', 'contain', 'Outer Fit (Shrink to Fit)'],
] as const;

export const CONTROL_MODES = [
  ['Balanced', 'even'],
  ['My prompt is more important', 'prompt'],
  ['ControlNet is more important', 'control'],
] as const;

/** A unit as infotexts tell of it. */
export interface DescribedUnit {
  id: string;
  preprocessor: { kind: string; low?: number; high?: number };
  strength: number;
  start: number;
  end: number;
  fit: (typeof RESIZE_MODES)[number][1];
  balance: (typeof CONTROL_MODES)[number][1];
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
  const { low, high } = unit.preprocessor;
  const nameOf = (choices: typeof RESIZE_MODES | typeof CONTROL_MODES, value: string) =>
    choices.find(([, own]) => own === value)?.[0] ?? value;
  const facts: Readonly<Record<string, string>> = {
    Module: unit.preprocessor.kind,
    Model: unitModelName(unit.id, hash),
    Weight: pythonFloat(unit.strength),
    'Resize Mode': nameOf(RESIZE_MODES, unit.fit),
    ...(low !== undefined && { 'Threshold A': pythonFloat(low) }),
    ...(high !== undefined && { 'Threshold B': pythonFloat(high) }),
    'Guidance Start': pythonFloat(unit.start),
    'Guidance End': pythonFloat(unit.end),
    // Preprocessors always look at the image at the size that is drawn.
    'Pixel Perfect': 'True',
    'Control Mode': nameOf(CONTROL_MODES, unit.balance),
  };
  return Object.entries(facts)
    .map(([name, value]) => `${name}: ${value}`)
    .join(', ');
}
