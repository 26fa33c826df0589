import { mkdirSync, writeFileSync } from 'node:fs';
import { createEngine } from '#engine/engine.ts';
import { packs } from '#library/packs/index.ts';
import { textToImage } from '../../support/jobs.ts';
import { openNodeRuntime, readFrom } from '../../support/node-engine.ts';
import { runToEnd } from '../../support/tiny-packs.ts';
const [folder, out] = process.argv.slice(2);
mkdirSync(out!, { recursive: true });
const pack = packs['emoji-mini'];
const engine = createEngine(openNodeRuntime, () => readFrom(folder!));
await engine.start('wasm');
const t = performance.now();
await engine.load(pack);
console.log('load', performance.now() - t);
const P = [
  'red apple, 3d',
  'purple octopus on a yellow background',
  'cat and umbrella, flat design',
  'house, line art',
  'smiling face, blob emoji',
  'green frog, cartoon style',
  'pizza on a green background',
  'rocket, gradient style',
];
for (const [i, prompt] of P.entries()) {
  const { pngs } = await runToEnd(
    engine,
    [pack],
    textToImage({ prompt, steps: 12, seeds: [BigInt(i + 100)], guidanceScale: 4 }),
  );
  writeFileSync(`${out}/${i}.png`, pngs[0]!);
  console.log(i, performance.now() - t);
}
await engine.unload();
process.exit(0);
