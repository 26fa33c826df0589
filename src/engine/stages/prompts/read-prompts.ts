import { namesOf, packKey, type AddOns, type ChosenLora } from '#engine/models/add-ons.ts';
import { explainMisfit } from '#engine/models/misfit.ts';
import type { Model } from '#engine/models/model.ts';
import type { SamplingPlan } from '#engine/samplers/sampling-plan.ts';
import type { Embedding } from '#engine/text/embeddings.ts';
import { planPrompt, type PromptPlan } from '#engine/text/plan.ts';
import type { Component } from '#weights/checkpoint.ts';
import type { GenerateJob } from '#protocol/job.ts';
import type { AddOnPack } from '#protocol/model.ts';
import { foldName } from '#protocol/names.ts';
import type { TextualInversion } from '#weights/textual-inversion.ts';

/** An image's prompts, read: what the text encoders have to do. */
export interface ReadPrompts {
  plan: PromptPlan;
  /** Whether anything is asked not to be there. */
  hasNegative: boolean;
  /** Those that stand in it. */
  embeddings: readonly AddOnPack[];
}

/** The calls that prompt schedules are measured in: A1111 counts two a step for every second-order sampler. */
function denoiserCalls({ evaluations, steps }: SamplingPlan): number {
  return Math.ceil(evaluations / steps) * steps;
}

/**
 * Reads the prompts of a job's images, in order. No network runs.
 *
 * @param loras of each image: while they apply, the words of embeddings bundled with them stand for their vectors
 * @param note called with what has no effect
 * @throws AppError `invalid_request` for prompts that are none, and what reading the files of embeddings throws
 */
export async function readPrompts(
  model: Model,
  addOns: AddOns,
  job: Pick<GenerateJob, 'images' | 'promptOptions'>,
  sampling: SamplingPlan,
  loras: readonly { loras: readonly ChosenLora[] }[],
  note: (text: string) => void,
): Promise<ReadPrompts[]> {
  const texts = job.images.flatMap(({ prompt, negativePrompt }) => [...prompt, ...negativePrompt]);
  const { syntax, embeddings = [] } = job.promptOptions;
  const packs = addOns.ofKind('embedding').filter(({ id }) => syntax !== 'plain' || embeddings.includes(id));
  const installed = await readEmbeddings(model, addOns, packs, texts, note);
  const own = installed.map(({ embedding }) => embedding);
  // An installed embedding keeps its word (A1111, extensions-builtin/Lora/networks.py).
  const taken = new Set(own.map(({ name }) => foldName(name)));
  const isFree = ({ name }: Embedding) => !taken.has(foldName(name));
  const read: ReadPrompts[] = [];
  for (const [index, { prompt, negativePrompt, pooledTexts }] of job.images.entries()) {
    const bundled = await readBundled(model, addOns, loras[index]?.loras ?? [], note);
    const byName = new Map([...own, ...bundled.filter(isFree)].map((each) => [each.name, each]));
    const plan = planPrompt(
      {
        texts: prompt,
        negativeTexts: negativePrompt,
        ...(pooledTexts !== undefined && { pooledTexts }),
        options: job.promptOptions,
        steps: denoiserCalls(sampling),
      },
      model.tokenizer,
      byName,
    );
    describeNotes(plan).forEach(note);
    read.push({
      plan,
      hasNegative: negativePrompt.some((text) => text !== ''),
      embeddings: usedEmbeddings(plan, installed),
    });
  }
  return read;
}

/** The embeddings bundled with an image's LoRAs. */
async function readBundled(
  model: Model,
  addOns: AddOns,
  loras: readonly ChosenLora[],
  note: (text: string) => void,
): Promise<Embedding[]> {
  const found: Embedding[] = [];
  for (const { pack, lora } of loras) {
    for (const [word, inversion] of await addOns.readBundled(lora)) {
      const vectors = chooseVectors(model, inversion);
      if (typeof vectors === 'string')
        note(`The embedding “${word}” of ${pack.title} had no effect: ${vectors}`);
      else found.push({ name: word, key: `${packKey(pack)}/${word}`, ...vectors });
    }
  }
  return found;
}

interface InstalledEmbedding {
  embedding: Embedding;
  pack: AddOnPack;
}

const ENCODERS: readonly Component[] = ['text_encoder', 'text_encoder_2'];

/** Those of the embeddings whose names occur in these texts, once for each name. */
async function readEmbeddings(
  model: Model,
  addOns: AddOns,
  packs: readonly AddOnPack[],
  texts: readonly string[],
  note: (text: string) => void,
): Promise<InstalledEmbedding[]> {
  const text = foldName(texts.join('\n'));
  const found: InstalledEmbedding[] = [];
  for (const pack of packs) {
    const names = namesOf(pack).filter((name) => text.includes(foldName(name)));
    const [name] = names;
    if (name === undefined) continue;
    const vectors = await readVectors(model, addOns, pack);
    if (typeof vectors === 'string') {
      note(`The embedding “${name}” had no effect: ${vectors}`);
      continue;
    }
    for (const each of names) {
      found.push({ pack, embedding: { name: each, key: packKey(pack), ...vectors } });
    }
  }
  return found;
}

/** An embedding's vectors for each of the model's text encoders, or why it has no effect. */
async function readVectors(
  model: Model,
  addOns: AddOns,
  pack: AddOnPack,
): Promise<Pick<Embedding, 'count' | 'vectors'> | string> {
  const misfit = explainMisfit(model, pack);
  if (misfit !== null) return misfit;
  return chooseVectors(model, await addOns.readEmbedding(pack));
}

/** An embedding's vectors for each of the model's text encoders, or why it has none. */
function chooseVectors(
  model: Model,
  { tokens, vectors }: TextualInversion,
): Pick<Embedding, 'count' | 'vectors'> | string {
  const own = model.tokenTables.flatMap(({ width }, index) => {
    const part = vectors.get(ENCODERS[index] ?? 'text_encoder');
    return part?.width === width ? [part.values] : [];
  });
  return own.length === model.tokenTables.length
    ? { count: tokens, vectors: own }
    : `it was made for other text encoders than those of ${model.pack.title}.`;
}

function usedEmbeddings(plan: PromptPlan, installed: readonly InstalledEmbedding[]): AddOnPack[] {
  const schedules = [plan.negative, ...plan.positive.map(({ schedule }) => schedule)];
  const chunks = schedules.flat().flatMap(({ encoding }) => encoding.flat());
  const used = new Set(chunks.flatMap(({ embeddings }) => embeddings.map(({ embedding }) => embedding.key)));
  return [...new Set(installed.filter(({ embedding }) => used.has(embedding.key)).map(({ pack }) => pack))];
}

/** What a plan could not do, in words. */
function describeNotes({ notes }: PromptPlan): string[] {
  return notes.map((note) =>
    note.kind === 'truncated'
      ? `The prompt is longer than the model reads; cut off: “${note.dropped.trim()}”.`
      : `There is no embedding called “${note.name}”.`,
  );
}
