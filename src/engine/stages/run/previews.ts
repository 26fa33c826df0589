/** At most this often, as the app shows them. */
const PREVIEW_EVERY_MS = 300;

/** Previews may take one part in this many of the time of sampling. */
const COST_SHARE = 10;

/** Says when a preview is made. */
export interface PreviewClock {
  /** Makes a preview if it is time for one. */
  offer(make: () => Promise<void>): Promise<void>;
}

/**
 * Never makes one: for jobs with a safety checker, whose images nobody is to see before they are checked. To blur previews
 * would not do, since the largest are finished images but for noise, and to check each would cost more than to make it.
 */
export const noPreviews: PreviewClock = { offer: () => Promise.resolve() };

/**
 * Decides when a preview may be made: not more often than {@link PREVIEW_EVERY_MS}, and, since one that the VAE decodes
 * costs as much as the image, never for more than a small share of the time.
 */
export function createPreviewClock(now: () => number = () => performance.now()): PreviewClock {
  let readyAt = now() + PREVIEW_EVERY_MS;
  return {
    async offer(make) {
      const start = now();
      if (start < readyAt) return;
      await make();
      const end = now();
      readyAt = end + Math.max(PREVIEW_EVERY_MS, (end - start) * COST_SHARE);
    },
  };
}
