import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import type { ParityCase } from '../case.ts';
import { a1111Kinds } from './a1111.ts';
import { controlnetKinds } from './controlnet.ts';
import { compare as diffusersPipelines } from './diffusers-pipelines.ts';
import { comparePanoramas, compareSelfAttention } from './diffusers-windows.ts';
import { diffusersKinds } from './diffusers.ts';
import { fooocusKinds } from './fooocus.ts';
import { openReferences, type ImageKind } from './image-kind.ts';
import type { KindRunner } from './reference.ts';

/** What compares the cases of a kind whose functions are pure, by its folder in `images/`. */
export const imageKinds: Readonly<Record<string, KindRunner>> = {
  ...a1111Kinds,
  ...controlnetKinds,
  ...diffusersKinds,
  ...fooocusKinds,
};

/** What compares whole pipelines of the engine, by the same. A kind is a file here and a line in this table. */
const pipelines: Readonly<Record<string, ImageKind>> = {
  'diffusers-panorama': comparePanoramas,
  'diffusers-pipelines': diffusersPipelines,
  'diffusers-sag': compareSelfAttention,
};

/** Every `images/<kind>/` of a folder of references; of kinds that nothing here compares it says that they are not supported. */
export async function* cases(dir: string): AsyncGenerator<ParityCase> {
  const images = join(dir, 'images');
  if (!existsSync(images)) return;
  for (const kind of readdirSync(images).sort()) {
    if (!existsSync(join(images, kind, 'cases.json'))) continue;
    const run = imageKinds[kind];
    if (run) yield* await run(images);
    else yield* comparePipelines(dir, kind);
  }
}

async function* comparePipelines(dir: string, kind: string): AsyncGenerator<ParityCase> {
  const references = openReferences(dir, kind);
  const compare = pipelines[kind];
  if (compare) yield* compare(references);
  else {
    const note = `${references.cases.length} cases`;
    yield { name: `images/${kind}`, error: Infinity, tolerance: 0, supported: false, note };
  }
}
