import { packKey, type AddOns, type ChosenLora } from '#engine/models/add-ons.ts';
import { explainMisfit } from '#engine/models/misfit.ts';
import type { Model } from '#engine/models/model.ts';
import { parseExtraNetworks } from '#engine/text/extra-networks.ts';
import { isLoraTag, readLoraTag, type LoraTag } from '#engine/text/lora-tags.ts';
import { toAppError } from '#protocol/error.ts';
import type { GenerateJob, ImageSpec } from '#protocol/job.ts';
import { noteNoEffect } from '#protocol/notes.ts';

/** The LoRAs of an image. */
export interface LoraChoice {
  loras: readonly ChosenLora[];
  /** The same for images that one set of networks can generate. */
  key: string;
}

/**
 * The LoRAs of each of a job's images: those its prompt names, and those of the job.
 *
 * @param note called with what has no effect
 * @throws AppError `unsupported_feature` for LoRAs of kinds that cannot be merged, and what reading their files throws
 */
export async function chooseLoras(
  model: Model,
  addOns: AddOns,
  job: Pick<GenerateJob, 'images' | 'promptOptions' | 'loras'>,
  note: (text: string) => void,
): Promise<LoraChoice[]> {
  const ofJob = (job.loras ?? []).map(({ id, strength }): LoraTag => ({
    name: id,
    strength,
    textEncoderStrength: strength,
  }));
  const choices: LoraChoice[] = [];
  for (const image of job.images) {
    const ofPrompt = job.promptOptions.syntax === 'a1111' ? readTags(image, note) : [];
    const loras: ChosenLora[] = [];
    for (const tag of [...ofPrompt, ...ofJob]) {
      const { name, strength, textEncoderStrength } = tag;
      const found = await findLora(model, addOns, tag, note);
      if (typeof found === 'string') note(noteNoEffect({ kind: 'lora', name }, found));
      else loras.push({ ...found, strength, textEncoderStrength });
    }
    const keys = loras.map(({ pack, strength, textEncoderStrength }) =>
      [packKey(pack), strength, textEncoderStrength].join('*'),
    );
    choices.push({ loras, key: keys.sort().join('|') });
  }
  return choices;
}

/** The LoRAs that a prompt names. */
function readTags({ prompt }: ImageSpec, note: (text: string) => void): LoraTag[] {
  const { networks } = parseExtraNetworks(prompt[0] ?? '');
  return networks.flatMap((network) => {
    const lora = isLoraTag(network) ? readLoraTag(network) : undefined;
    if (lora) return lora;
    const reason = isLoraTag(network) ? 'its strength is not a number' : 'there is nothing of this kind here';
    const tag = `<${[network.kind, ...network.positional].join(':')}>`;
    note(noteNoEffect({ kind: 'tag', tag }, `${reason}.`));
    return [];
  });
}

/** The LoRA of a tag, or why it has no effect. */
async function findLora(
  model: Model,
  addOns: AddOns,
  { name }: LoraTag,
  note: (text: string) => void,
): Promise<Pick<ChosenLora, 'pack' | 'lora'> | string> {
  const pack = addOns.find('lora', name);
  if (!pack) return 'it is not installed.';
  const misfit = explainMisfit(model, pack);
  if (misfit !== null) return misfit;
  const lora = await addOns.readLora(pack);
  try {
    const leftOut = [...lora.unknown, ...model.matchLora(lora)];
    if (leftOut.length > 0) note(describeLeftOut(name, leftOut));
    return { pack, lora };
  } catch (thrown) {
    const error = toAppError(thrown);
    if (error.code !== 'invalid_request') throw error;
    return error.message;
  }
}

/** Names of tensors or modules that a note has room for. */
const NAMED = 3;

/** Says which parts of a LoRA are not applied while the rest is. */
function describeLeftOut(name: string, leftOut: readonly string[]): string {
  const named = leftOut.slice(0, NAMED).join(', ');
  const more = leftOut.length > NAMED ? ` and ${leftOut.length - NAMED} more` : '';
  return `The LoRA “${name}” was applied without what this model has no place for: ${named}${more}.`;
}
