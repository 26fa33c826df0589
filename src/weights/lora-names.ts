import type { Component } from './checkpoint.ts';
import { diffusersUnetModule } from './unet-names.ts';

/** The role of a LoRA file's tensor in its module. */
export type LoraPart =
  | 'up'
  | 'down'
  | 'mid'
  | 'alpha'
  | 'difference'
  | 'biasDifference'
  | 'magnitude'
  | `hada_${string}`
  | `lokr_${string}`
  | 'other';

/** A tensor's name taken apart. */
export interface LoraName {
  component: Component;
  /** The module's name with underscores for dots: kohya's names lose the difference and it cannot be recovered. */
  module: string;
  part: LoraPart;
}

/** Which parts the ends of names mean: kohya, LyCORIS, PEFT, and diffusers before and after it used PEFT. */
const PARTS: readonly (readonly [end: RegExp, part: LoraPart])[] = [
  [/(?:\.lora_down|\.lora_A(?:\.\w+)?|[._]lora\.down|\.lora_linear_layer\.down)\.weight$/, 'down'],
  [/(?:\.lora_up|\.lora_B(?:\.\w+)?|[._]lora\.up|\.lora_linear_layer\.up)\.weight$/, 'up'],
  [/\.lora_mid\.weight$/, 'mid'],
  [/\.alpha$/, 'alpha'],
  [/\.diff$|\.w_norm$/, 'difference'],
  [/\.diff_b$|\.b_norm$/, 'biasDifference'],
  [/\.dora_scale$|\.lora_magnitude_vector(?:\.\w+)*$/, 'magnitude'],
  ...['w1_a', 'w1_b', 'w2_a', 'w2_b', 't1', 't2'].map(
    (part) => [new RegExp(`\\.hada_${part}$`), `hada_${part}`] as const,
  ),
  ...['w1', 'w1_a', 'w1_b', 'w2', 'w2_a', 'w2_b', 't2'].map(
    (part) => [new RegExp(`\\.lokr_${part}$`), `lokr_${part}`] as const,
  ),
  // Orthogonal (OFT, BOFT), IA³, GLoRA.
  [/\.(?:oft_\w+|boft_\w+|on_input|[ab][12]\.weight)$/, 'other'],
];

/** Which network the starts of names mean. Of several that fit the first counts. */
const PREFIXES: readonly (readonly [start: RegExp, component: Component])[] = [
  [/^lora_unet_/, 'unet'],
  [/^lora_te1?_/, 'text_encoder'],
  [/^lora_te2_/, 'text_encoder_2'],
  [/^unet\.(?:base_model\.model\.)?/, 'unet'],
  [/^text_encoder\.(?:base_model\.model\.)?/, 'text_encoder'],
  [/^text_encoder_2\.(?:base_model\.model\.)?/, 'text_encoder_2'],
  [/^(?:base_model\.model\.)?(?=text_model\.)/, 'text_encoder'],
  [
    /^(?:base_model\.model\.|diffusion_model\.)?(?=(?:(?:down|up|input|output)_blocks|mid(?:dle)?_block|conv_(?:in|out))\.)/,
    'unet',
  ],
];

/** Takes a tensor's name apart, or undefined if it is not a LoRA's. */
export function parseLoraName(name: string): LoraName | undefined {
  for (const [end, part] of PARTS) {
    const found = end.exec(name);
    if (!found) continue;
    for (const [start, component] of PREFIXES) {
      const prefix = start.exec(name)?.[0];
      if (prefix === undefined) continue;
      const module = name.slice(prefix.length, found.index).replace(/\.processor(?=\.|$)/, '');
      return { component, module: flatten(module), part };
    }
  }
  return undefined;
}

/**
 * Splits the name of a bundled embedding's tensor, or undefined if it is not one. Words contain no dots.
 * Source: A1111 extensions-builtin/Lora/networks.py, `load_network`.
 */
export function parseBundledName(name: string): { word: string; vectors: string } | undefined {
  const [, word, vectors] = /^bundle_emb\.([^.]+)\.(?:string_to_param\.)?(.+)$/.exec(name) ?? [];
  return word === undefined || vectors === undefined ? undefined : { word, vectors };
}

/** Finds the modules of one network by a LoRA's names for them. */
export class ModuleIndex {
  readonly #byFlatName = new Map<string, string>();
  readonly #layersPerBlock: number;

  /** @param names The network's tensors under their diffusers names. */
  constructor(names: Iterable<string>) {
    let lastLayer = 0;
    for (const name of names) {
      const module = /^(.+)\.(?:weight|bias)$/.exec(name)?.[1];
      if (!module) continue;
      this.#byFlatName.set(flatten(module), module);
      const layer = /^down_blocks\.0\.resnets\.(\d+)\./.exec(name);
      if (layer) lastLayer = Math.max(lastLayer, Number(layer[1]));
    }
    this.#layersPerBlock = lastLayer + 1;
  }

  /** The module a LoRA calls by this flat name, in its diffusers or original form, or undefined. */
  find(flat: string): string | undefined {
    const original = diffusersUnetModule(unflattenOriginal(flat), this.#layersPerBlock);
    // Before PEFT, diffusers named the attention's projections itself.
    const clip = flat.replace(/_self_attn_to_(q|k|v|out)$/, '_self_attn_$1_proj');
    for (const candidate of [flat, `${flat}_0`, clip, ...(original ? [flatten(original)] : [])]) {
      const module = this.#byFlatName.get(candidate);
      if (module) return module;
    }
    return undefined;
  }
}

function flatten(module: string): string {
  return module.replaceAll('.', '_');
}

/** The dots that {@link diffusersUnetModule} needs, put back into a flat original name. */
function unflattenOriginal(flat: string): string {
  const block = /^((?:in|out)put_blocks_\d+|middle_block)_(\d+)_(.+)$/.exec(flat);
  if (!block) return flat.replaceAll(/_(?=\d)/g, '.');
  const [, path = '', part = '', rest = ''] = block;
  const layers = rest.replace(/^((?:in|out|emb)_layers)_(\d)$/, '$1.$2');
  return `${path.replace(/_(?=\d)/, '.')}.${part}.${layers}`;
}
