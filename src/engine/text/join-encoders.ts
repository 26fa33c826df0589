import type { Conditioning, Context, EncodedPrompt } from './encode.ts';

/**
 * Joins what several text encoders made of the same plan, and the other conditioning of its contexts. Calls of
 * the denoiser that share a conditioning go on sharing one.
 *
 * @param complete makes the final context of those of the encoders; called once for each
 */
export function joinEncoders(
  prompts: readonly EncodedPrompt[],
  complete: (context: Context, isNegative: boolean) => Context,
): EncodedPrompt {
  const known = new Map<Conditioning | undefined, Conditioning>();
  return {
    conditioningAt(call) {
      const parts = prompts.map((prompt) => prompt.conditioningAt(call));
      const [first] = parts;
      const joined = known.get(first) ?? {
        positive: (first?.positive ?? []).map(({ weight }, index) => ({
          weight,
          context: complete(
            joinContexts(parts.flatMap(({ positive }) => positive[index]?.context ?? [])),
            false,
          ),
        })),
        negative: complete(joinContexts(parts.map(({ negative }) => negative)), true),
      };
      known.set(first, joined);
      return joined;
    },
  };
}

/** Contexts of the same tokens side by side: SDXL reads 768 numbers of one encoder and 1280 of the other. */
function joinContexts(contexts: readonly Context[]): Context {
  const [first] = contexts;
  if (first && contexts.length === 1) return first;
  const tokens = first?.tokens ?? 0;
  const width = contexts.reduce((sum, context) => sum + context.width, 0);
  const data = new Float32Array(tokens * width);
  let column = 0;
  for (const context of contexts) {
    for (let token = 0; token < tokens; token++) {
      data.set(
        context.data.subarray(token * context.width, (token + 1) * context.width),
        token * width + column,
      );
    }
    column += context.width;
  }
  return { data, tokens, width, pooled: contexts.find(({ pooled }) => pooled)?.pooled ?? null };
}
