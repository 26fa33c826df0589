import { openReferences } from './parity/images/image-kind.ts';
const [, , module = '', kind = '', filter = ''] = process.argv;
const compared = await import(module) as { [key: string]: (r: unknown) => AsyncGenerator<{ name: string; error: number; tolerance: number; supported: boolean; note?: string }> };
const references = openReferences('/work/shared/golden', kind);
const cases = references.cases.filter(({ id }) => new RegExp(filter).test(id));
for await (const c of compared[process.argv[5] ?? "compare"]!({ ...references, cases })) console.log(!c.supported ? 'n/s ' : c.error <= c.tolerance ? 'ok  ' : 'FAIL', c.name, c.error.toExponential(2), c.note ?? '');
process.exit(0);
