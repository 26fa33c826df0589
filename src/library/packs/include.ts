import type { AddOnPack, PackFile } from '#protocol/model.ts';

/** What an add-on that comes with the app says of itself; the rest follows. */
type Included = Pick<AddOnPack, 'id' | 'kind' | 'title' | 'description' | 'network' | 'licence' | 'credits'>;

/** An add-on whose files are in `public/models/<id>/`; the README.md there is its card. */
export function include(facts: Included, files: readonly PackFile[]): AddOnPack {
  return { ...facts, family: null, url: `models/${facts.id}/`, files };
}

/** The one file of a network. */
export function oneGraph(sizeBytes: number, sha256: string): readonly PackFile[] {
  return [{ path: 'model.onnx', sizeBytes, sha256 }];
}
