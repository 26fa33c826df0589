import type { ControlPreprocessor, ControlSpec } from '#protocol/job.ts';
import type { AddOnInfo } from '#protocol/model.ts';
import type { ImagePromptDraft } from '#ui/panels/create/form/generate-form.svelte.ts';

/** The preprocessors that are offered, with their usual thresholds. */
export const preprocessors = {
  none: { kind: 'none' },
  canny: { kind: 'canny', low: 100, high: 200 },
  invert: { kind: 'invert' },
} as const satisfies Readonly<Record<string, ControlPreprocessor>>;

export type OfferedPreprocessor = keyof typeof preprocessors;

/** A control image for a ControlNet, with the preprocessor that its name suggests. */
export function controlOf(image: Blob, { pack }: AddOnInfo): ControlSpec {
  // A canny ControlNet wants edges, and most people bring a plain image.
  const wantsEdges = /canny|edge/i.test(pack.id);
  return {
    id: pack.id,
    image,
    fit: 'cover',
    preprocessor: wantsEdges ? preprocessors.canny : preprocessors.none,
    strength: 1,
    start: 0,
    end: 1,
    balance: 'even',
  };
}

/** An image prompt through an IP-Adapter, which looks at what its name suggests. */
export function imagePromptOf(image: Blob, { pack }: AddOnInfo): ImagePromptDraft {
  const fit = /face/i.test(pack.id) ? 'face' : 'crop';
  return { id: pack.id, image, fit, weight: 0.6, start: 0, end: 1 };
}
