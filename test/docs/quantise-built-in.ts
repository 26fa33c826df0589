/**
 * `npm run quantise-built-in <folder>`: makes the built-in model's files in public/models/emoji-mini from a folder
 * with its trained weights in float16 (`weights/{unet,vae,text_encoder}.safetensors`) and its configuration files, and
 * prints their sizes and hashes for src/library/packs/emoji-mini.ts. The same weights give the same bytes. It measures how
 * much each weight matters, which takes several minutes.
 */
import { createHash } from 'node:crypto';
import { openAsBlob } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { ConfigJson } from '#engine/architectures/config.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { deflatedFile } from '../support/deflated.ts';
import { calibrate, type BuiltInNetwork } from './quantise/calibration.ts';
import { readWeights } from './quantise/networks.ts';
import { quantised } from './quantise/quantised.ts';
import { chooseSteps, rmsOf, type Matrix } from './quantise/steps.ts';

const TARGET = path.resolve(import.meta.dirname, '../../public/models/emoji-mini');
const COPIED = ['scheduler/scheduler_config.json', 'tokenizer/merges.txt', 'unet/config.json'];
const FILES = ['text_encoder', 'unet', 'vae'] as const;

/** Of all files of the model. */
const MAX_BYTES = 25_000_000;

/**
 * What an error of a network counts. The few prompts of the calibration say little of all the words there are; an error of the
 * UNet comes back in every step, one of the decoder once; and the encoder only serves images that are generated from others.
 */
const COUNTS: Readonly<Record<BuiltInNetwork, number>> = {
  text_encoder: 3,
  unet: 1,
  vae_decoder: 0.5,
  vae_encoder: 0.15,
};

/** The step of a trial, in root mean squares of the weight: about five bits. */
const TRIAL = 0.25;

/** The network that a tensor of a file belongs to. */
function networkOf(file: (typeof FILES)[number], tensor: string): BuiltInNetwork {
  if (file !== 'vae') return file;
  return tensor.startsWith('enc.') ? 'vae_encoder' : 'vae_decoder';
}

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('Which folder has the weights?');

const files = new Map<string, Uint8Array>();
for (const name of COPIED) files.set(name, await readFile(path.join(folder, name)));

const sources = {
  text_encoder: await open('text_encoder'),
  unet: await open('unet'),
  vae: await open('vae'),
};
const weights = {
  text_encoder: await readWeights(sources.text_encoder),
  unet: await readWeights(sources.unet),
  vae: await readWeights(sources.vae),
};
const calibration = await calibrate({
  weights,
  unetConfig: JSON.parse(await readFile(path.join(folder, 'unet/config.json'), 'utf8')) as ConfigJson,
  merges: await readFile(path.join(folder, 'tokenizer/merges.txt'), 'utf8'),
});

// Every matrix and every convolution; norms and biases are few.
const matrices = new Map<string, Matrix>();
for (const file of FILES) {
  for (const [name, { shape, data }] of Object.entries(weights[file])) {
    if (shape.length < 2 || !name.endsWith('.weight')) continue;
    const network = networkOf(file, name);
    const step = TRIAL * rmsOf(data);
    const rounded = Float32Array.from(data, (value) => Math.round(value / step) * step);
    const error = await calibration.errorOf(network, { ...weights[file], [name]: { shape, data: rounded } });
    const sensitivity = (COUNTS[network] * error) / (TRIAL ** 2 / 12);
    matrices.set(`${file}/${name}`, { rows: shape[0] ?? 1, data, sensitivity });
    console.log(`${file} ${name}: ${Math.sqrt(error).toFixed(5)}`);
  }
}
await calibration.release();

async function open(file: string) {
  const name = `weights/${file}.safetensors`;
  return openSafetensors(await openAsBlob(path.join(folder ?? '', name)), name);
}

/** The networks' files with these steps. */
async function networkFiles(steps: ReadonlyMap<string, number>): Promise<Map<string, Uint8Array>> {
  const made = new Map<string, Uint8Array>();
  for (const file of FILES) {
    const source = quantised(sources[file], (name) => steps.get(`${file}/${name}`));
    made.set(`${file}/model.safetensors`, await deflatedFile(source));
  }
  return made;
}

const sum = (contents: Iterable<Uint8Array>) =>
  [...contents].reduce((total, { length }) => total + length, 0);
const forNetworks = MAX_BYTES - sum(files.values());
let forMatrices = forNetworks;
let networks = await networkFiles(chooseSteps(matrices, forMatrices));
// Norms, biases, scales and headers take some, and Huffman codes more than the entropy.
while (sum(networks.values()) > forNetworks) {
  forMatrices -= sum(networks.values()) - forNetworks;
  networks = await networkFiles(chooseSteps(matrices, forMatrices));
}
const total = sum(files.values()) + sum(networks.values());

for (const [name, bytes] of [...files, ...networks]) {
  await mkdir(path.dirname(path.join(TARGET, name)), { recursive: true });
  await writeFile(path.join(TARGET, name), bytes);
  console.log(
    `{ path: '${name}', sizeBytes: ${bytes.length}, sha256: '${createHash('sha256').update(bytes).digest('hex')}' },`,
  );
}
console.log(`${total} bytes in all`);
