import { fileName, findAddOn } from '#api/models.ts';
import { route } from '#api/route.ts';
import { parseJson } from '#codecs/json.ts';
import { usableAddOns, type AddOnInfo } from '#protocol/model.ts';
import { aliasOf } from '#protocol/names.ts';

/** Preview images, which the original leaves out. */
const LEFT_OUT = 'ssmd_cover_images';

/** Entries that come first, in this order (A1111, extensions-builtin/Lora/network.py). */
const FIRST = [
  'ss_sd_model_name',
  'ss_resolution',
  'ss_clip_skip',
  'ss_num_train_images',
  'ss_tag_frequency',
];

/** The installed LoRA of this file name or alias. */
export function findLora(addOns: readonly AddOnInfo[], name: string): AddOnInfo | undefined {
  return findAddOn(addOns, 'lora', name);
}

/** The header's entries; those that hold JSON objects are parsed (A1111, modules/sd_models.py). */
function describeMetadata({ pack }: AddOnInfo): Record<string, unknown> {
  const rank = (name: string) => (FIRST.includes(name) ? FIRST.indexOf(name) : FIRST.length);
  return Object.fromEntries(
    Object.entries(pack.metadata ?? {})
      .filter(([name]) => name !== LEFT_OUT)
      .sort(([a], [b]) => rank(a) - rank(b))
      .map(([name, value]) => [name, readEntry(value)]),
  );
}

function readEntry(value: string): unknown {
  if (!value.startsWith('{')) return value;
  try {
    return parseJson(value);
  } catch {
    return value;
  }
}

export const loras = route({
  method: 'GET',
  path: '/sdapi/v1/loras',
  summary: 'The installed LoRAs',
  run: async (call) =>
    usableAddOns(await call.ask((host) => host.addOns()), 'lora').map((lora) => ({
      name: lora.pack.id,
      alias: aliasOf(lora.pack) ?? lora.pack.id,
      path: `models/Lora/${fileName(lora)}`,
      metadata: describeMetadata(lora),
    })),
});
