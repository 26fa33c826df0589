import { cases } from './parity/images/index.ts';
for await (const { name, error, tolerance, supported, note } of cases(process.argv[2] ?? '')) {
  const verdict = !supported ? 'not supported' : error <= tolerance ? 'ok' : 'FAIL';
  console.log(verdict.padEnd(13), name.padEnd(70), error.toExponential(2), note ?? '');
}
process.exit(0);
