/** At most this often, as the app shows them. */
const PREVIEW_EVERY_MS = 300;

/** Previews may take one part in this many of the time of sampling. */
const COST_SHARE = 10;

export type PreviewClock = ReturnType<typeof createPreviewClock>;

/**
 * Decides when a preview may be made: not more often than {@link PREVIEW_EVERY_MS}, and, since one that the VAE decodes
 * costs as much as the image, never for more than a small share of the time.
 */
export function createPreviewClock(now: () => number = () => performance.now()) {
  let readyAt = now() + PREVIEW_EVERY_MS;
  return {
    /** Makes a preview if it is time for one. */
    async offer(make: () => Promise<void>): Promise<void> {
      const start = now();
      if (start < readyAt) return;
      await make();
      const end = now();
      readyAt = end + Math.max(PREVIEW_EVERY_MS, (end - start) * COST_SHARE);
    },
  };
}
