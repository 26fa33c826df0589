import type { ImageId } from '#protocol/job.ts';
import { panelNames, type PanelName } from '#ui/panels/names.ts';

const IMAGE = /^#\/image\/(.+)$/;

/** What is kept with an entry of the history that shows an image. */
interface ImageEntry {
  /** The panel beneath it. */
  panel: PanelName;
}

function isImageEntry(state: unknown): state is ImageEntry {
  return (
    typeof state === 'object' &&
    state !== null &&
    panelNames.some((name) => 'panel' in state && state.panel === name)
  );
}

/** The fragment of an image's address. */
function hashOfImage(id: ImageId): string {
  return `#/image/${encodeURIComponent(id)}`;
}

function decode(text: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    return text;
  }
}

/** What the page's address shows: a panel, `#/models`, or an image over one, `#/image/…`. */
export class Address {
  #panel = $state<PanelName>('create');
  #image = $state<ImageId | null>(null);

  constructor() {
    this.read();
  }

  get panel(): PanelName {
    return this.#panel;
  }

  /** The image on show. */
  get image(): ImageId | null {
    return this.#image;
  }

  /** Follows the address; to be called when it has changed. */
  read(): void {
    const [, image] = IMAGE.exec(location.hash) ?? [];
    this.#image = image === undefined ? null : decode(image);
    const state: unknown = history.state;
    if (image === undefined)
      this.#panel = panelNames.find((name) => location.hash === `#/${name}`) ?? 'create';
    else if (isImageEntry(state)) this.#panel = state.panel;
  }

  /** Shows an image; Back closes it. Another one on show takes its place. */
  openImage(id: ImageId): void {
    const entry: ImageEntry = { panel: this.#panel };
    if (this.#image === null) history.pushState(entry, '', hashOfImage(id));
    else history.replaceState(history.state, '', hashOfImage(id));
    this.#image = id;
  }

  /** Closes the image on show. */
  closeImage(): void {
    if (this.#image === null) return;
    this.#image = null;
    if (isImageEntry(history.state)) history.back();
    else history.replaceState(null, '', `#/${this.#panel}`);
  }

  /** Closes the image on show for a panel. */
  closeImageFor(panel: PanelName): void {
    if (panel === this.#panel) {
      this.closeImage();
      return;
    }
    history.replaceState(null, '', `#/${panel}`);
    this.read();
  }
}
