import { divaStyles } from './diva.ts';
import { fooocusStyles } from './fooocus.ts';
import { mkStyles } from './mk.ts';
import { mreStyles } from './mre.ts';
import { saiStyles } from './sai.ts';
import { twriStyles } from './twri.ts';

/** A style's texts; `{prompt}` is where the prompt goes. Either may be empty. */
export interface StyleText {
  prompt: string;
  negative: string;
}

/** All styles by name, in Fooocus's order, on which its random choice depends. */
export const styles: ReadonlyMap<string, StyleText> = new Map(
  [fooocusStyles, saiStyles, mreStyles, twriStyles, divaStyles, mkStyles].flatMap((group) =>
    Object.entries(group).map(([name, [prompt, negative]]) => [name, { prompt, negative }] as const),
  ),
);
