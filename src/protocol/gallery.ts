import type { ImageId } from './job.ts';
import type { ModelId } from './model.ts';

/** How an image came to be: from a text alone, from an image, from a masked image, or by upscaling one. */
export const IMAGE_KINDS = ['text', 'image', 'edit', 'upscale'] as const;
export type ImageKind = (typeof IMAGE_KINDS)[number];

/** What made an image, as far as galleries ask. */
export interface MadeBy {
  /** The checkpoint; null where there was none. */
  model: ModelId | null;
  /** Null for tasks that make no images. */
  kind: ImageKind | null;
}

/** Which images of the gallery are meant, and in which order; without conditions all that are not deleted, newest first. */
export interface GalleryQuery {
  /** Words that the prompt contains, in any order and in upper or lower case. */
  text?: string;
  model?: ModelId;
  kind?: ImageKind;
  favourites?: boolean;
  /** Those in the bin instead. */
  deleted?: boolean;
  oldestFirst?: boolean;
}

/** An image of the gallery by what it was made with, for those who look through all of them. */
export interface GalleryPrompt {
  id: ImageId;
  prompt: string;
}

/** What a query looks at. */
interface QueriedFacts extends MadeBy {
  prompt: string;
  favourite: boolean;
}

/** Milliseconds for which a deleted image can be restored: a day. */
export const BIN_MS = 24 * 60 * 60 * 1000;

/** Whether a query leaves images out, those in the bin aside. */
export function isFiltered({ text = '', model, kind, favourites = false }: GalleryQuery): boolean {
  return text.trim() !== '' || model !== undefined || kind !== undefined || favourites;
}

/** What decides whether an image meets a query's conditions; its place, gallery or bin, is not looked at. */
export function matcherOf({
  text = '',
  model,
  kind,
  favourites = false,
}: GalleryQuery): (facts: QueriedFacts) => boolean {
  const words = text
    .toLowerCase()
    .split(/\s+/)
    .filter((word) => word !== '');
  return (facts) => {
    if (model !== undefined && facts.model !== model) return false;
    if (kind !== undefined && facts.kind !== kind) return false;
    if (favourites && !facts.favourite) return false;
    if (words.length === 0) return true;
    const prompt = facts.prompt.toLowerCase();
    return words.every((word) => prompt.includes(word));
  };
}

/** Under this path of the app the service worker serves images of the gallery, so that they have names when they are saved. */
const SERVED_UNDER = 'gallery/';

/** Where an image is served, below the app's own path. @param name the file's */
export function servedPath(id: string, name: string): string {
  return `${SERVED_UNDER}${encodeURIComponent(id)}/${encodeURIComponent(name)}`;
}

/** The id of the image that a path below the app's own leads to. */
export function imageOfServedPath(path: string): string | undefined {
  if (!path.startsWith(SERVED_UNDER)) return undefined;
  const [id = '', name] = path.slice(SERVED_UNDER.length).split('/');
  try {
    return name === undefined ? undefined : decodeURIComponent(id);
  } catch {
    return undefined;
  }
}
