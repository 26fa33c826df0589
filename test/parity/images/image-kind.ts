import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { openSafetensors } from '#weights/safetensors-source.ts';
import type { ParityCase } from '../case.ts';
import { readFloats } from '../models.ts';

/** One case of a kind: what `images/README.md` of the references says, and what the kind adds to it. */
export interface ImageCase {
  id: string;
  /** Label → image file, relative to `images/`. */
  inputs?: Readonly<Record<string, string>>;
  /** Label → image file beside `cases.json`. */
  images?: Readonly<Record<string, string>>;
  /** Label → name in `tensors.safetensors`. */
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
  /** The bytes of a file by its path relative to `images/`. */
  bytes(path: string): Uint8Array<ArrayBuffer>;
  /** The bytes of a file of the kind. */
  file(name: string): Uint8Array<ArrayBuffer>;
  tensor(name: string): Promise<Float32Array>;
  /** A tensor's sides. */
  shape(name: string): Promise<readonly number[]>;
}

/** Compares all cases of a kind; those that the app claims to do are supported. */
export type ImageKind<C extends ImageCase = ImageCase> = (
  references: ImageReferences<C>,
) => AsyncGenerator<ParityCase>;

/** Whether a folder of references has a kind. */
export function hasKind(root: string, kind: string): boolean {
  return existsSync(join(root, 'images', kind, 'cases.json'));
}

/** Opens `images/<kind>/` of a folder of references. */
export function openReferences<C extends ImageCase>(root: string, kind: string): ImageReferences<C> {
  const bytes = (path: string) => new Uint8Array(readFileSync(join(root, 'images', path)));
  const file = (name: string) => bytes(`${kind}/${name}`);
  let opened: ReturnType<typeof openSafetensors> | null = null;
  const tensors = () => (opened ??= openSafetensors(new Blob([file('tensors.safetensors')]), kind));
  return {
    root,
    kind,
    cases: JSON.parse(new TextDecoder().decode(file('cases.json'))) as C[],
    input: (path) => new Blob([bytes(path)]),
    bytes,
    file,
    tensor: async (name) => readFloats(await tensors(), name),
    async shape(name) {
      const info = (await tensors()).info(name);
      if (!info) throw new Error(`There is no tensor "${name}".`);
      return info.shape;
    },
  };
}
