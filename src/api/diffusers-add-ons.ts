import { AppError } from '#protocol/error.ts';
import type { GenerateJob, LoraSpec, Pass, PromptOptions } from '#protocol/job.ts';
import { usableAddOns, type AddOnInfo, type AddOnKind } from '#protocol/model.ts';
import { findAddOn } from './models.ts';

/** Fields by which ModelsLab and its resellers name add-ons; lists have commas. */
export interface AddOnFields {
  lora_model: string | null;
  /** In the order of the models; where one is missing, it is 1. */
  lora_strength: string | null;
  embeddings_model: string | null;
  vae: string | null;
}

/** What such fields change in a job. */
interface ChosenAddOns {
  job: Pick<GenerateJob, 'loras'>;
  pass: Pick<Pass, 'vae'>;
  prompt: Pick<PromptOptions, 'embeddings'>;
}

/**
 * Finds the add-ons that a request names.
 * @throws AppError `model_not_found`, which names what is not installed and, as `detail.tip`, what is;
 *   `invalid_request` for strengths that are no numbers
 */
export function chooseAddOns(fields: AddOnFields, addOns: readonly AddOnInfo[]): ChosenAddOns {
  const loras = chooseLoras(fields, addOns);
  const embeddings = requireAddOns(addOns, 'embedding', fields.embeddings_model);
  const [vae] = requireAddOns(addOns, 'vae', fields.vae);
  return {
    job: loras.length > 0 ? { loras } : {},
    pass: vae ? { vae: vae.pack.id } : {},
    prompt: embeddings.length > 0 ? { embeddings: embeddings.map(({ pack }) => pack.id) } : {},
  };
}

function chooseLoras(fields: AddOnFields, addOns: readonly AddOnInfo[]): LoraSpec[] {
  const strengths = splitList(fields.lora_strength).map(Number);
  if (!strengths.every(Number.isFinite)) {
    throw new AppError('invalid_request', 'lora_strength must be a number, or a list of numbers');
  }
  const loras = requireAddOns(addOns, 'lora', fields.lora_model);
  return loras.map(({ pack }, index) => ({ id: pack.id, strength: strengths[index] ?? 1 }));
}

const KIND_NAMES: Readonly<Record<'lora' | 'embedding' | 'vae', string>> = {
  lora: 'LoRA',
  embedding: 'Embedding',
  vae: 'VAE',
};

function requireAddOns(
  addOns: readonly AddOnInfo[],
  kind: AddOnKind & keyof typeof KIND_NAMES,
  names: string | null,
): AddOnInfo[] {
  return splitList(names).map((name) => {
    const found = findAddOn(addOns, kind, name);
    if (found) return found;
    const installed = usableAddOns(addOns, kind).map(({ pack }) => pack.id);
    throw new AppError('model_not_found', `${KIND_NAMES[kind]} not found: ${name}`, {
      detail: { tip: `Installed: ${installed.join(', ') || 'none'}` },
    });
  });
}

function splitList(list: string | null): string[] {
  return (list ?? '')
    .split(',')
    .map((entry) => entry.trim())
    .filter((entry) => entry !== '');
}
