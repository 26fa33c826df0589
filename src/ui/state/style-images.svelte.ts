import type { Remote } from 'comlink';
import type { EngineHost, HostEvent } from '#protocol/engine-host.ts';
import type { GalleryPrompt } from '#protocol/gallery.ts';
import type { ImageId } from '#protocol/job.ts';

/** What a style adds to every prompt, piece by piece: its text around `{prompt}`. */
function piecesOf(style: string): string[] {
  return style
    .split('{prompt}')
    .map((piece) => piece.replace(/^[\s,.]+|[\s,.]+$/g, ''))
    .filter((piece) => piece !== '');
}

/**
 * The images of the gallery that show what styles do. An image was made with a style if its prompt has the style's own words, so
 * those that other programs made by the APIs count as well. The prompts are read once, without their images, and then follow the
 * host's events.
 */
export class StyleImages {
  /** Newest first; null until they are wanted. */
  #prompts = $state.raw<readonly GalleryPrompt[] | null>(null);

  /** Reads the prompts, unless they are there. */
  async read(host: Remote<EngineHost>): Promise<void> {
    this.#prompts ??= await host.galleryPrompts();
  }

  /** Another host may have another gallery. */
  forget(): void {
    this.#prompts = null;
  }

  apply({ added, removed }: Extract<HostEvent, { type: 'gallery' }>): void {
    if (!this.#prompts) return;
    const changed = [...removed, ...added.map(({ id }) => id)];
    const rest = this.#prompts.filter(({ id }) => !changed.includes(id));
    this.#prompts = [...added.map(({ id, prompt }) => ({ id, prompt })), ...rest];
  }

  /** The newest image with a style; undefined where there is none, or the style adds nothing to prompts. @param style its text */
  newestWith(style: string): ImageId | undefined {
    const pieces = piecesOf(style);
    if (pieces.length === 0) return undefined;
    return this.#prompts?.find(({ prompt }) => pieces.every((piece) => prompt.includes(piece)))?.id;
  }
}
