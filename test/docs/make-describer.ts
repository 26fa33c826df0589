/**
 * `npm run make-describer <folder> <data.bin>`: makes the files of the built-in describer, public/models/emoji-mini-describer,
 * from the folder of the built-in model's trained weights (`weights/{text_encoder,vae,image_head}.safetensors`,
 * `tokenizer/merges.txt`) and the data it was trained on, whose header lists what its images show. Prints sizes and hashes for
 * src/library/packs/describer.ts.
 */
import { createHash } from 'node:crypto';
import { openAsBlob } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { buildEmojiEncoder } from '#engine/architectures/emoji-mini.ts';
import type { BuiltGraph } from '#engine/graph/graph.ts';
import { clipVocabulary, createClipTokenizer } from '#engine/tokenizers/clip.ts';
import { quantiseTensors } from '#weights/quantise.ts';
import { openSafetensors, writeSafetensors } from '#weights/safetensors-source.ts';
import type { TensorInfo, TensorSource } from '#weights/tensor-source.ts';
import { readExternalData } from '../support/onnx-session.ts';
import { tensorsOf } from '../support/random-weights.ts';
import { buildImageHead } from './describer/image-head.ts';
import { readPhrases } from './describer/phrases.ts';
import { embedTexts } from './describer/text-embeddings.ts';
import { meanShift, unitRows } from './describer/vectors.ts';
import { readWeights } from './quantise/networks.ts';

const TARGET = path.resolve(import.meta.dirname, '../../public/models/emoji-mini-describer');
/** What a style or a color does to an embedding is measured on every so many-th thing. */
const EVERY = 20;

const [folder, data] = process.argv.slice(2);
if (folder === undefined || data === undefined)
  throw new Error('Which folder has the weights, and where is the data?');

const int8 = ({ name, shape }: TensorInfo) =>
  shape.length > 1 && name.endsWith('.weight') ? ('int8-channels' as const) : ('exact' as const);

async function weightsOf(name: string): Promise<TensorSource> {
  const file = await openAsBlob(path.join(folder ?? '', `weights/${name}.safetensors`));
  return tensorsOf(await readWeights(await openSafetensors(file, name)));
}

await mkdir(TARGET, { recursive: true });

async function write(name: string, bytes: Uint8Array): Promise<void> {
  await writeFile(path.join(TARGET, name), bytes);
  const sha256 = createHash('sha256').update(bytes).digest('hex');
  console.log(`{ path: '${name}', sizeBytes: ${bytes.length}, sha256: '${sha256}' },`);
}

async function writeGraph(name: string, graph: BuiltGraph, weights: TensorSource): Promise<void> {
  await write(`${name}.onnx`, graph.model);
  for (const file of await readExternalData(graph, weights, {})) await write(file.path, file.data);
}

const vae = quantiseTensors(await weightsOf('vae'), int8);
await writeGraph('vae_encoder', buildEmojiEncoder({}, { weights: vae }), vae);
const head = quantiseTensors(await weightsOf('image_head'), int8);
await writeGraph('image_head', buildImageHead(head), head);

const phrases = readPhrases(await readFile(data));
const merges = await readFile(path.join(folder, 'tokenizer/merges.txt'), 'utf8');
const tokenizer = createClipTokenizer(clipVocabulary(merges), merges);
const encoder = await weightsOf('text_encoder');
const embed = (texts: readonly string[]) => embedTexts(encoder, tokenizer, texts);

const names = phrases.things.map(({ name }) => name);
const some = names.filter((_, index) => index % EVERY === 0);
const plain = unitRows(await embed(some));
const shifts = async (words: readonly string[], phrase: (thing: string, word: string) => string) => {
  const rows: Float32Array[] = [];
  for (const word of words)
    rows.push(meanShift(plain, unitRows(await embed(some.map((thing) => phrase(thing, word))))));
  return rows;
};
const tensors = {
  things: unitRows(await embed(names)),
  styles: await shifts(phrases.styles, (thing, style) => `${thing}, ${style}`),
  colors: await shifts(phrases.colors, (thing, color) => `${color} ${thing}`),
  backgrounds: await shifts(phrases.colors, (thing, color) => `${thing} on a ${color} background`),
};
const vectors = tensorsOf(
  Object.fromEntries(
    Object.entries(tensors).map(([name, rows]) => [
      name,
      {
        shape: [rows.length, rows[0]?.length ?? 0],
        data: Float32Array.from(rows.flatMap((row) => [...row])),
      },
    ]),
  ),
);
const parts: Uint8Array[] = [];
for await (const part of writeSafetensors(quantiseTensors(vectors, () => 'int8-channels'))) parts.push(part);
await write('phrases.safetensors', Uint8Array.from(Buffer.concat(parts)));
await write('phrases.json', new TextEncoder().encode(JSON.stringify(phrases)));
