import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors } from '#weights/safetensors-source.ts';
import type { ParityCase } from '../case.ts';
import { readFloats } from '../models.ts';

/** One case of a kind: what `images/README.md` of the references says, and what the kind adds to it. */
export interface ImageCase {
  id: string;
  /** Paths of image files, relative to `images/`. */
  inputs?: Readonly<Record<string, string>>;
  /** Image files beside `cases.json`. */
  images?: Readonly<Record<string, string>>;
  /** Names in `tensors.safetensors`. */
  tensors?: Readonly<Record<string, string>>;
}

/** The references of one kind, `images/<kind>/`. */
export interface ImageReferences<C extends ImageCase = ImageCase> {
  /** The folder of all references. */
  root: string;
  kind: string;
  cases: readonly C[];
  /** A file by its path relative to `images/`. */
  input(path: string): Blob;
  /** The bytes of a file of the kind. */
  file(name: string): Uint8Array<ArrayBuffer>;
  tensor(name: string): Promise<Float32Array>;
}

/** Compares all cases of a kind; those that the app claims to do are supported. */
export type ImageKind<C extends ImageCase = ImageCase> = (
  references: ImageReferences<C>,
) => AsyncGenerator<ParityCase>;

/** Opens `images/<kind>/` of a folder of references. */
export function openReferences<C extends ImageCase>(root: string, kind: string): ImageReferences<C> {
  const images = join(root, 'images');
  const read = (...path: string[]) => new Uint8Array(readFileSync(join(images, ...path)));
  return {
    root,
    kind,
    cases: JSON.parse(readFileSync(join(images, kind, 'cases.json'), 'utf8')) as C[],
    input: (path) => new Blob([read(path)]),
    file: (name) => read(kind, name),
    async tensor(name) {
      const tensors = new Blob([read(kind, 'tensors.safetensors')]);
      return readFloats(await openSafetensors(tensors, kind), name);
    },
  };
}
