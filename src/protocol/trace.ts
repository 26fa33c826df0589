/** What the entries of {@link traced} are called before the name of their part. */
export const TRACE_PREFIX = 'vitrine: ';

/** The parts this thread has noted: the timeline never forgets, and only the first of each is part of the start. */
const noted = new Set<string>();

/**
 * Does a part of the way to the first image. When this thread does it for the first time, an entry is left in its performance
 * timeline, for the bench and the browser's own profiler.
 */
export async function traced<T>(part: string, work: () => Promise<T>): Promise<T> {
  const start = performance.now();
  try {
    return await work();
  } finally {
    if (!noted.has(part)) {
      noted.add(part);
      performance.measure(`${TRACE_PREFIX}${part}`, { start });
    }
  }
}
