import { imageKinds } from './parity/images/index.ts';
for (const [kind, run] of Object.entries(imageKinds)) {
  if (process.argv[2] && !kind.includes(process.argv[2])) continue;
  const t = performance.now();
  const results = await run(process.argv[3] ?? '/work/shared/golden/images');
  const bad = results.filter((r) => r.error > r.tolerance);
  console.log(kind, results.length - bad.length, '/', results.length, Math.round(performance.now() - t), 'ms');
  for (const b of bad.slice(0, 6)) console.log('   ', b.name, b.error, b.note);
}
