import type { LoadedModel } from '#engine/models/model.ts';
import type { Session, TensorValue } from '#engine/runtime/runtime.ts';
import type { SamplingPlan } from '#engine/samplers/sampling-plan.ts';
import { cacheChunks, encodePrompt, type EncodeChunk, type EncodedPrompt } from '#engine/text/encode.ts';
import { planPrompt, type PromptPlan } from '#engine/text/plan.ts';
import { AppError } from '#protocol/error.ts';
import type { PictureSpec, PromptOptions } from '#protocol/job.ts';

/** Reads pictures' prompts with one model's text encoder. Equal texts are encoded once. */
export interface PromptEncoder {
  /** @param note told what of a prompt has no effect */
  encode(
    picture: PictureSpec,
    options: PromptOptions,
    plan: SamplingPlan,
    note: (text: string) => void,
  ): Promise<EncodedPrompt>;
}

/** The text encoder's own name for the hidden layer that a clip skip takes; undefined for the last one. */
function hiddenLayerName(textEncoder: Session, clipSkip: number): string | undefined {
  if (clipSkip <= 1) return undefined;
  const layers = textEncoder.outputNames.flatMap((name) => /^hidden_states\.(\d+)$/.exec(name)?.[1] ?? []);
  const wanted = Math.max(-1, ...layers.map(Number)) - (clipSkip - 1);
  return wanted >= 0 ? `hidden_states.${String(wanted)}` : undefined;
}

function createChunkEncoder({ textEncoder }: LoadedModel, clipSkip: number): EncodeChunk {
  const input = textEncoder.inputNames[0];
  if (input === undefined) throw new AppError('integrity_failed', 'The text encoder has no input.');
  const layer = hiddenLayerName(textEncoder, clipSkip) ?? 'last_hidden_state';
  const toIds = (ids: Int32Array): TensorValue => {
    const dims = [1, ids.length];
    return textEncoder.inputType(input) === 'int64'
      ? { type: 'int64', data: BigInt64Array.from(ids, BigInt), dims }
      : { type: 'int32', data: ids, dims };
  };
  return async (ids, embeddings) => {
    if (embeddings.length > 0) {
      throw new AppError('unsupported_feature', 'This model’s text encoder cannot take embeddings.');
    }
    const outputs = await textEncoder.run({ [input]: toIds(ids) });
    const hidden = outputs[layer]?.data;
    if (!hidden) throw new AppError('integrity_failed', `The text encoder has no output “${layer}”.`);
    const pooled = outputs['text_embeds']?.data;
    return pooled ? { hidden, pooled } : { hidden };
  };
}

/** What a plan could not do, in words. */
function describeNotes({ notes, extraNetworks }: PromptPlan): string[] {
  return [
    ...notes.map((note) =>
      note.kind === 'truncated'
        ? `The prompt is longer than the model reads; cut off: “${note.dropped.trim()}”.`
        : `There is no embedding called “${note.name}”.`,
    ),
    ...extraNetworks.map(
      ({ kind, positional: [name = ''] }) => `<${kind}:${name}> had no effect: this model takes none.`,
    ),
  ];
}

/** The calls that prompt schedules are measured in: A1111 counts two a step for every second-order sampler. */
function denoiserCalls({ evaluations, steps }: SamplingPlan): number {
  return Math.ceil(evaluations / steps) * steps;
}

/** Creates the {@link PromptEncoder} of a model. */
export function createPromptEncoder(model: LoadedModel): PromptEncoder {
  const encoders = new Map<number, ReturnType<typeof cacheChunks>>();
  return {
    async encode(picture, options, plan, note) {
      const prompt = planPrompt(
        {
          texts: picture.prompt,
          negativeTexts: picture.negativePrompt,
          options,
          steps: denoiserCalls(plan),
        },
        model.tokenizer,
        new Map(),
      );
      describeNotes(prompt).forEach(note);
      if (options.clipSkip > 1 && hiddenLayerName(model.textEncoder, options.clipSkip) === undefined) {
        note('Clip skip had no effect: this model’s text encoder only gives its last layer.');
      }
      let encoder = encoders.get(options.clipSkip);
      if (!encoder) {
        encoder = cacheChunks(createChunkEncoder(model, options.clipSkip));
        encoders.set(options.clipSkip, encoder);
      }
      return encodePrompt(prompt, encoder);
    },
  };
}
