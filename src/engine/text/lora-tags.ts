import type { ExtraNetwork } from './extra-networks.ts';

/** A LoRA that a prompt names. */
export interface LoraTag {
  name: string;
  /** For the UNet. */
  strength: number;
  textEncoderStrength: number;
}

/** Words of tags that mean a LoRA; `lyco` is what an extension for LyCORIS called them. */
const KINDS: readonly string[] = ['lora', 'lyco'];

/** Whether a tag is a LoRA's. */
export function isLoraTag({ kind }: ExtraNetwork): boolean {
  return KINDS.includes(kind);
}

/**
 * `<lora:name>`, `<lora:name:both>`, `<lora:name:text encoder:unet>`, or with `te=` and `unet=` by name, which win.
 * Undefined if a strength is not a number or the name is missing.
 * Source: A1111 extensions-builtin/Lora/extra_networks_lora.py, `activate`.
 */
export function readLoraTag({ positional, named }: ExtraNetwork): LoraTag | undefined {
  const [name, first = '1', second] = positional;
  const textEncoder = named['te'] ?? first;
  const textEncoderStrength = readNumber(textEncoder);
  const strength = readNumber(named['unet'] ?? second ?? textEncoder);
  return name === undefined || strength === undefined || textEncoderStrength === undefined
    ? undefined
    : { name, strength, textEncoderStrength };
}

/** As Python's `float` reads it, without its words for infinity. */
function readNumber(text: string): number | undefined {
  return /^\s*[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?\s*$/.test(text) ? Number(text) : undefined;
}
