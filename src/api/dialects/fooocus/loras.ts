import { findAddOn, shortHash } from '#api/models.ts';
import type { AddOnInfo, ModelInfo } from '#protocol/model.ts';
import type { DescribedLora } from './metadata.ts';
import { MAX_LORAS, type LoraChoice } from './prompt.ts';
import type { CommonRequest } from './schema.ts';

/** As many LoRAs of a request as Fooocus takes; `missing` ones are not installed, or not for the model. */
export function readLoras(
  request: CommonRequest,
  model: ModelInfo,
  addOns: readonly AddOnInfo[],
): { loras: LoraChoice[]; missing: string[] } {
  const loras: LoraChoice[] = [];
  const missing: string[] = [];
  for (const { enabled, model_name: name, weight } of request.loras.slice(0, MAX_LORAS)) {
    if (!enabled || name === 'None') continue;
    const lora = findAddOn(addOns, 'lora', name);
    const fits = lora && [null, model.pack.family].includes(lora.pack.family);
    if (fits) loras.push({ name: lora.pack.id, weight });
    else missing.push(name);
  }
  return { loras, missing };
}

/** LoRAs as written in metadata. */
export function describeLoras(loras: readonly LoraChoice[], addOns: readonly AddOnInfo[]): DescribedLora[] {
  return loras.map((lora) => {
    const installed = findAddOn(addOns, 'lora', lora.name);
    return { ...lora, hash: installed ? shortHash(installed) : '' };
  });
}
