import { get, set } from 'idb-keyval';
import type { EditOperation } from '#ui/panels/create/editor/layers.ts';
import { openFormStore } from './form-store.ts';
import {
  plainControl,
  PLAIN_FIELDS,
  type ControlDraft,
  type GenerateForm,
  type ImagePromptDraft,
} from './generate-form.svelte.ts';
import { modes } from './modes.ts';
import type { SourceImage } from './source-image.ts';

/** Plain values are here, because they have to be back before the first frame. */
const FIELDS_KEY = 'vitrine.form';

/** Images and masks are too large for that place. */
const IMAGES_KEY = 'images';

const MASK_KEY = 'mask';

/** A stroke or a dragged slider makes many changes; only the last is written. */
const SETTLED_MS = 300;

type Fields = Pick<GenerateForm, (typeof PLAIN_FIELDS)[number]>;

interface Images {
  sources: readonly SourceImage[];
  controls: readonly ControlDraft[];
  /** Not in drafts of older versions. */
  imagePrompts?: readonly ImagePromptDraft[];
}

/** Keeps what is in the form across reloads and crashes, in this browser. */
export class Draft {
  readonly #form: GenerateForm;

  constructor(form: GenerateForm) {
    this.#form = form;
  }

  /** Restores the draft: values immediately, images when they have been read. Images added in the meantime stay. */
  async restore(): Promise<void> {
    const form = this.#form;
    const fields = readFields();
    if (!fields) return;
    restoreFields(form, fields);
    const [images, mask] = await Promise.all([
      get<Images>(IMAGES_KEY, openFormStore()),
      get<readonly EditOperation[]>(MASK_KEY, openFormStore()),
    ]).catch(() => []);
    if (!images) return;
    if (form.sources.length === 0) form.restoreSources(images.sources, mask ?? []);
    if (form.controls.length === 0) form.controls = [...images.controls];
    if (form.imagePrompts.length === 0) form.imagePrompts = [...(images.imagePrompts ?? [])];
  }

  /** Stores the current plain values. In an effect it runs again with every change. */
  keepFields(): void {
    try {
      localStorage.setItem(FIELDS_KEY, JSON.stringify(plainFields(this.#form)));
    } catch {
      // A full disk, or a browser that keeps nothing: the form works without.
    }
  }

  /** As {@link keepFields}, for the images, a little later. @returns what stops it */
  keepImages(): () => void {
    const { sources, controls, imagePrompts } = this.#form;
    const images: Images = {
      sources,
      controls: controls.map(plainControl),
      imagePrompts: imagePrompts.map((prompt) => ({ ...prompt })),
    };
    return writeSoon(IMAGES_KEY, images);
  }

  /** As {@link keepImages}, for the mask and the layers. */
  keepMask(): () => void {
    return writeSoon(MASK_KEY, this.#form.editor?.operations ?? []);
  }
}

function writeSoon(key: string, value: unknown): () => void {
  const timer = setTimeout(() => void set(key, value, openFormStore()).catch(() => undefined), SETTLED_MS);
  return () => clearTimeout(timer);
}

function plainFields(form: GenerateForm): Record<string, unknown> {
  return Object.fromEntries(PLAIN_FIELDS.map((name) => [name, form[name]]));
}

function readFields(): Fields | null {
  try {
    const kept: unknown = JSON.parse(localStorage.getItem(FIELDS_KEY) ?? 'null');
    return typeof kept === 'object' ? (kept as Fields | null) : null;
  } catch {
    return null;
  }
}

/** Takes the values that are of the kind this version has; a field that an older version did not know keeps its default. */
function restoreFields(form: GenerateForm, kept: Fields): void {
  const current = plainFields(form);
  const fitting = PLAIN_FIELDS.filter(
    (name) => isLike(kept[name], current[name]) && (name !== 'mode' || kept.mode in modes),
  );
  Object.assign(form, Object.fromEntries(fitting.map((name) => [name, kept[name]])));
}

function isLike(value: unknown, example: unknown): boolean {
  // What is null in a new form is an object or a text once it is set.
  if (value === undefined) return false;
  if (value === null || example === null) return value === null || typeof value !== 'number';
  if (typeof value !== 'object') return typeof value === typeof example;
  return typeof example === 'object' && Object.keys(example).every((key) => key in value);
}
