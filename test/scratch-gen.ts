import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { packs } from '#library/packs/index.ts';
import { textToImage } from './support/jobs.ts';
import { EMOJI_MINI } from './support/node-engine.ts';
import { engineFor, generate } from './support/tiny-packs.ts';
const pack = packs['emoji-mini'];
const model = { pack, files: Object.fromEntries(pack.files.map((f) => [f.path, new Blob([readFileSync(path.join(EMOJI_MINI, f.path))])])) };
const engine = engineFor([model]);
const words = ['red apple','blue car','green tree','yellow sun','purple grapes','orange cat','brown bear','black hat','pink flower','white house','smiling face','fire truck','rainbow','night sky with moon','pizza slice','watermelon','green frog','blue whale','golden crown','strawberry cake','red heart','penguin','sunflower','robot'];
const styles = ['', ', 3D style', ', flat style'];
let i = 0;
for (const word of words) {
  const { pngs } = await generate(engine, model, textToImage({ prompt: word + (styles[i % 3] ?? ''), seeds: [BigInt(i)], steps: 10, guidanceScale: 4 }));
  writeFileSync(`/tmp/gen/${String(i++)}.png`, pngs[0] ?? new Uint8Array());
}
await engine.unload();
