import type { ZipEntry } from '#codecs/zip.ts';
import { toAppError } from '#protocol/error.ts';
import type { ImageId } from '#protocol/job.ts';
import { downloadBlob } from '#ui/controls/blob-source.ts';
import { formatCount } from '#ui/format.ts';
import type { Engine } from '#ui/state/engine.svelte.ts';
import type { Notices } from '#ui/state/notices.svelte.ts';
import { createEntries, nameOfArchive } from './zip-names.ts';

/** Packs images into a ZIP archive and offers it as a download. */
export class ZipDownload {
  readonly #engine: Engine;
  readonly #notices: Notices;
  #progress = $state.raw<{ done: number; total: number } | null>(null);
  #stop = new AbortController();

  constructor(engine: Engine, notices: Notices) {
    this.#engine = engine;
    this.#notices = notices;
  }

  /** Null unless one is being packed. */
  get progress(): { done: number; total: number } | null {
    return this.#progress;
  }

  cancel(): void {
    this.#stop.abort();
  }

  async start(ids: readonly ImageId[]): Promise<void> {
    if (this.#progress || ids.length === 0) return;
    const { signal } = (this.#stop = new AbortController());
    this.#progress = { done: 0, total: ids.length };
    try {
      // Loaded when it is needed.
      const { packZip } = await import('#codecs/zip.ts');
      let part = 0;
      for await (const archive of packZip(this.#entries(ids, signal))) {
        if (signal.aborted) return;
        part += 1;
        downloadBlob(archive, nameOfArchive(part));
      }
      this.#notices.show(`${formatCount(ids.length, 'image')} packed into a ZIP file.`);
    } catch (thrown) {
      this.#notices.show(toAppError(thrown).message, { tone: 'error' });
    } finally {
      this.#progress = null;
    }
  }

  /** The images one after the other; those deleted in the meantime are left out. */
  async *#entries(ids: readonly ImageId[], signal: AbortSignal): AsyncGenerator<ZipEntry> {
    const toEntry = createEntries();
    for (const [done, id] of ids.entries()) {
      if (signal.aborted) return;
      const image = await this.#engine.request((host) => host.galleryItem(id));
      if (image) yield toEntry(image);
      this.#progress = { done: done + 1, total: ids.length };
    }
  }
}
