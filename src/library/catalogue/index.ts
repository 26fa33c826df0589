import type { CatalogueEntry } from '#protocol/import.ts';

/** Well-known models to import with one click. README.md says where the facts are from. */
export const catalogue: readonly CatalogueEntry[] = [];
