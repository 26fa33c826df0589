import type { Dialect } from '#api/route.ts';
import { fooocus } from './fooocus/index.ts';
import { a1111 } from './a1111/index.ts';
import { itsrose } from './itsrose/index.ts';
import { modelslab } from './modelslab/index.ts';
import { sdcn } from './sdcn/index.ts';

/** Every dialect that is served; where two have a path in common, the first answers it. */
export const dialects: readonly Dialect[] = [a1111, fooocus, itsrose, modelslab, sdcn];
