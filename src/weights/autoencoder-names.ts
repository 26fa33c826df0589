const ATTENTION_PARTS: ReadonlyMap<string, string> = new Map([
  ['norm', 'group_norm'],
  ['q', 'to_q'],
  ['k', 'to_k'],
  ['v', 'to_v'],
  ['proj_out', 'to_out.0'],
]);

/** Names that diffusers itself used before version 0.15 and that many VAE files on the Hub still have. */
const FORMER_ATTENTION_PARTS: ReadonlyMap<string, string> = new Map([
  ['query', 'to_q'],
  ['key', 'to_k'],
  ['value', 'to_v'],
  ['proj_attn', 'to_out.0'],
]);

/** Levels of an original VAE's decoder, from its names. 4 for every Stable Diffusion. */
export function autoencoderLevels(names: Iterable<string>): number {
  let last = -1;
  for (const name of names) {
    const found = /^decoder\.up\.(\d+)\./.exec(name);
    if (found) last = Math.max(last, Number(found[1]));
  }
  return last + 1;
}

/**
 * The diffusers name of a module of an AutoencoderKL in the original code (CompVis/stable-diffusion,
 * ldm/modules/diffusionmodules/model.py), or undefined if it is none. The decoder's levels are numbered there from the
 * largest image down, in diffusers from the smallest up.
 */
export function diffusersAutoencoderModule(module: string, levels: number): string | undefined {
  if (/^(?:post_)?quant_conv$|^(?:en|de)coder\.conv_(?:in|out)$/.test(module)) return module;
  const found = /^(encoder|decoder)\.(.+)$/.exec(module);
  if (!found) return undefined;
  const [, side = '', rest = ''] = found;
  if (rest === 'norm_out') return `${side}.conv_norm_out`;

  const mid = /^mid\.(block|attn)_(\d)\.(.+)$/.exec(rest);
  if (mid) {
    const [, kind, number, part = ''] = mid;
    const index = Number(number) - 1;
    if (kind === 'block') return `${side}.mid_block.resnets.${index}.${resnetPart(part)}`;
    const attention = ATTENTION_PARTS.get(part);
    return attention && `${side}.mid_block.attentions.${index}.${attention}`;
  }
  const level = /^(down|up)\.(\d+)\.(?:block\.(\d+)\.(.+)|(?:down|up)sample\.conv)$/.exec(rest);
  if (!level) return undefined;
  const [, direction, number, layer, part] = level;
  const index = direction === 'up' ? levels - 1 - Number(number) : Number(number);
  const path = `${side}.${direction}_blocks.${index}`;
  return part ? `${path}.resnets.${layer}.${resnetPart(part)}` : `${path}.${direction}samplers.0.conv`;
}

/** A module of an AutoencoderKL in diffusers' own names, brought up to date. */
export function currentAutoencoderModule(module: string): string {
  return module.replace(/(\.mid_block\.attentions\.\d+\.)(\w+)$/, (whole, path: string, part: string) => {
    const current = FORMER_ATTENTION_PARTS.get(part);
    return current ? path + current : whole;
  });
}

function resnetPart(part: string): string {
  return part === 'nin_shortcut' ? 'conv_shortcut' : part;
}
