import type { Dialect } from '#api/route.ts';
import { fooocus } from './fooocus/index.ts';
import { itsrose } from './itsrose/index.ts';
import { modelslab } from './modelslab/index.ts';

/** Every dialect that is served; where two have a path in common, the first answers it. */
export const dialects: readonly Dialect[] = [fooocus, itsrose, modelslab];
