import { readGenerationFields, type GenerationFields } from '#codecs/generation-fields.ts';
import { toAppError } from '#protocol/error.ts';
import { readSourceImage, type SourceImage } from '#ui/panels/create/form/source-image.ts';
import type { Notices } from '#ui/state/notices.svelte.ts';

/** How an image was made, by what its file says. */
export interface FoundSettings {
  /** The program that wrote it. */
  program: string;
  fields: GenerationFields;
}

/** Images the reader dropped or pasted, before it is decided what for. */
export interface BroughtImages {
  sources: readonly SourceImage[];
  /** Of the first image; null where its file says nothing. */
  settings: FoundSettings | null;
}

/** Takes images that are dropped or pasted anywhere. */
export class Brought {
  readonly #notices: Notices;
  #current = $state.raw<BroughtImages | null>(null);
  /** Something is being dragged over the window. */
  isHovering = $state(false);

  constructor(notices: Notices) {
    this.#notices = notices;
  }

  /** Those to decide on now. */
  get current(): BroughtImages | null {
    return this.#current;
  }

  /** Asks what to do with images. */
  async offer(files: readonly File[]): Promise<void> {
    const sources = await this.read(files);
    const [first] = files;
    if (first && sources.length > 0) this.#current = { sources, settings: await readSettings(first) };
  }

  dismiss(): void {
    this.#current = null;
  }

  endHover(): void {
    this.isHovering = false;
  }

  /** Reads image files; those that cannot be read are left out, and said. */
  async read(files: readonly File[]): Promise<SourceImage[]> {
    const read: SourceImage[] = [];
    for (const file of files) {
      try {
        read.push(await readSourceImage(file, file.name));
      } catch (thrown) {
        this.#notices.show(toAppError(thrown).message, { tone: 'error' });
      }
    }
    return read;
  }
}

async function readSettings(file: File): Promise<FoundSettings | null> {
  // Loaded when an image is brought: it knows the ways of eight programs.
  const { readGenerationText } = await import('#codecs/generation-text/read-generation-text.ts');
  try {
    const found = await readGenerationText(new Uint8Array(await file.arrayBuffer()));
    return found && { program: found.program, fields: readGenerationFields(found.infotext) };
  } catch {
    // The browser can still show it: AVIF, BMP, a damaged text.
    return null;
  }
}

/** Whether a file is an image, by its type or its name. */
export function isImageFile({ type, name }: File): boolean {
  return type.startsWith('image/') || /\.(?:png|jpe?g|webp|gif|avif|bmp)$/i.test(name);
}
