import type { Context, EncodedPrompt } from '#engine/text/encode.ts';

/** One row of a run of the UNet: the latents of `image` under `context`. */
export interface GuidanceRow {
  image: number;
  context: Context;
  /** The guided output of an image is the sum of its rows' outputs with these weights. */
  weight: number;
  unconditional: boolean;
}

/**
 * Classifier-free guidance as rows and weights: `uncond + Σ wᵢ · scale · (condᵢ − uncond)`.
 * Source: Ho & Salimans 2022; the sum over conditions is A1111's `AND` (modules/sd_samplers_cfg_denoiser.py,
 * `combine_denoised`, after Liu et al. 2022). Rows whose weight is zero are left out, except where the output without
 * guidance is wanted for itself.
 */
export function planGuidance(
  prompts: readonly EncodedPrompt[],
  evaluation: number,
  scale: number,
  wants: { skipUnconditional: boolean; unconditional: boolean },
): GuidanceRow[] {
  return prompts.flatMap((prompt, image) => {
    const { positive, negative } = prompt.conditioningAt(evaluation);
    const total = positive.reduce((sum, { weight }) => sum + weight, 0);
    const share = wants.skipUnconditional ? 1 : scale;
    // What the conditions leave over is the unconditional output's; where that pass is skipped the first
    // condition stands in for it, as in A1111.
    const rest = 1 - total * share;
    const rows: GuidanceRow[] = positive.map(({ context, weight }, i) => ({
      image,
      context,
      weight: weight * share + (wants.skipUnconditional && i === 0 ? rest : 0),
      unconditional: false,
    }));
    if (wants.unconditional || (!wants.skipUnconditional && rest !== 0)) {
      rows.push({
        image,
        context: negative,
        weight: wants.skipUnconditional ? 0 : rest,
        unconditional: true,
      });
    }
    return rows;
  });
}

/** Rows in groups that fit one run: of one length, and at most `limit` at a time. */
export function groupRows(rows: readonly GuidanceRow[], limit: number): GuidanceRow[][] {
  const groups: GuidanceRow[][] = [];
  for (const row of rows) {
    const open = groups.find(
      (group) => group.length < limit && group[0]?.context.tokens === row.context.tokens,
    );
    if (open) open.push(row);
    else groups.push([row]);
  }
  return groups;
}
