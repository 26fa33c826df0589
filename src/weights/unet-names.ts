const RESNET_PARTS: ReadonlyMap<string, string> = new Map([
  ['in_layers.0', 'norm1'],
  ['in_layers.2', 'conv1'],
  ['emb_layers.1', 'time_emb_proj'],
  ['out_layers.0', 'norm2'],
  ['out_layers.3', 'conv2'],
  ['skip_connection', 'conv_shortcut'],
]);

const STEMS: ReadonlyMap<string, string> = new Map([
  ['input_blocks.0.0', 'conv_in'],
  ['time_embed.0', 'time_embedding.linear_1'],
  ['time_embed.2', 'time_embedding.linear_2'],
  ['time_embed.cond_proj', 'time_embedding.cond_proj'],
  ['label_emb.0.0', 'add_embedding.linear_1'],
  ['label_emb.0.2', 'add_embedding.linear_2'],
  ['out.0', 'conv_norm_out'],
  ['out.2', 'conv_out'],
]);

/** What only ControlNets have (lllyasviel/ControlNet, cldm/cldm.py). */
const CONTROLNET_STEMS: ReadonlyMap<string, string> = new Map([
  ['input_hint_block.0', 'controlnet_cond_embedding.conv_in'],
  ['input_hint_block.2', 'controlnet_cond_embedding.blocks.0'],
  ['input_hint_block.4', 'controlnet_cond_embedding.blocks.1'],
  ['input_hint_block.6', 'controlnet_cond_embedding.blocks.2'],
  ['input_hint_block.8', 'controlnet_cond_embedding.blocks.3'],
  ['input_hint_block.10', 'controlnet_cond_embedding.blocks.4'],
  ['input_hint_block.12', 'controlnet_cond_embedding.blocks.5'],
  ['input_hint_block.14', 'controlnet_cond_embedding.conv_out'],
  ['middle_block_out.0', 'controlnet_mid_block'],
]);

/**
 * Layers of each block, from the names an original UNet has: blocks are numbered throughout, with a downsampler after
 * the layers of each level but the last. 2 for every Stable Diffusion.
 */
export function layersPerBlock(names: Iterable<string>): number {
  let first = Infinity;
  for (const name of names) {
    const found = /^input_blocks\.(\d+)\.0\.op\.weight$/.exec(name);
    if (found) first = Math.min(first, Number(found[1]));
  }
  return Number.isFinite(first) ? first - 1 : 2;
}

/**
 * The diffusers name of a module of a UNet or ControlNet in the original code (CompVis/stable-diffusion,
 * ldm/modules/diffusionmodules/openaimodel.py), or undefined if it is none.
 *
 * @param module Without the checkpoint's prefix and the parameter: `input_blocks.1.1.proj_in`. What follows the block's
 *   numbers may be written with dots or, as kohya's LoRAs do, with underscores; it passes through unchanged.
 */
export function diffusersUnetModule(module: string, layersPerBlock: number): string | undefined {
  const stem = STEMS.get(module) ?? CONTROLNET_STEMS.get(module);
  if (stem) return stem;
  const zero = /^zero_convs\.(\d+)\.0$/.exec(module);
  if (zero) return `controlnet_down_blocks.${zero[1]}`;

  const found = /^(?:(input|output)_blocks\.(\d+)|middle_block)\.(\d+)\.(.+)$/.exec(module);
  if (!found) return undefined;
  const [, side, number = '', part = '', rest = ''] = found;
  const perLevel = layersPerBlock + 1;

  if (!side) {
    // resnet, attention, resnet
    const index = Number(part) >> 1;
    return part === '1'
      ? `mid_block.attentions.${index}.${rest}`
      : resnet(`mid_block.resnets.${index}`, rest);
  }
  const block = Number(number) - (side === 'input' ? 1 : 0);
  const path = `${side === 'input' ? 'down' : 'up'}_blocks.${Math.floor(block / perLevel)}`;
  const layer = block % perLevel;
  if (rest === 'op') return `${path}.downsamplers.0.conv`;
  if (rest === 'conv') return `${path}.upsamplers.0.conv`;
  return part === '0' ? resnet(`${path}.resnets.${layer}`, rest) : `${path}.attentions.${layer}.${rest}`;
}

function resnet(path: string, rest: string): string | undefined {
  const part = RESNET_PARTS.get(rest);
  return part && `${path}.${part}`;
}
