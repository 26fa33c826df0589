import type { Finder } from '#protocol/finder.ts';
import type { Engine } from '#ui/state/engine.svelte.ts';

/**
 * What a finder finds in an image, as an opaque image file of its size. What goes wrong, and that there is nothing, is shown as
 * of any job; nothing is kept of it.
 * @returns null where there is nothing, and where the job failed or was stopped
 */
export async function findMask(engine: Engine, image: Blob, finder: Finder): Promise<Blob | null> {
  const id = crypto.randomUUID();
  const mask = await engine.ask(async (host) => {
    await host.submit(id, { task: 'find-mask', image, finder }, { client: 'app', requestKey: null });
    const { result, stage } = await host.wait(id);
    await host.removeJob(id);
    const isFound = stage === 'done' && result?.notes.length === 0;
    const made = result?.artifacts.find((artifact) => artifact.kind === 'mask');
    return isFound && made ? made.blob : null;
  });
  return mask ?? null;
}
