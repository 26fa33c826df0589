import type { FooocusStyle } from '#api/dialects/fooocus/prompt.ts';
import { divaStyles } from './diva.ts';
import { fooocusStyles } from './fooocus.ts';
import { mkStyles } from './mk.ts';
import { mreStyles } from './mre.ts';
import { saiStyles } from './sai.ts';
import { twriStyles } from './twri.ts';

/** All styles by name, in Fooocus's order, on which its random choice depends. */
export const styles: ReadonlyMap<string, FooocusStyle> = new Map(
  [fooocusStyles, saiStyles, mreStyles, twriStyles, divaStyles, mkStyles].flatMap((group) =>
    Object.entries(group).map(([name, [prompt, negative]]) => [name, { prompt, negative }] as const),
  ),
);
