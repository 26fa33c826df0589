/**
 * `npm run quantise-built-in <folder>`: makes the built-in model's files in public/models/emoji-mini from a folder
 * with its trained weights in float16 (`weights/{unet,vae,text_encoder}.safetensors`) and its configuration files, and
 * prints their sizes and hashes for src/library/packs/emoji-mini.ts. The same weights give the same bytes.
 */
import { createHash } from 'node:crypto';
import { openAsBlob } from 'node:fs';
import { mkdir, readFile, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { quantiseTensors, type Storage } from '#weights/quantise.ts';
import { openSafetensors, writeSafetensors } from '#weights/safetensors-source.ts';
import type { TensorInfo } from '#weights/tensor-source.ts';

const TARGET = path.resolve(import.meta.dirname, '../../public/models/emoji-mini');
const NETWORKS = ['text_encoder', 'unet', 'vae'];
const COPIED = ['scheduler/scheduler_config.json', 'tokenizer/merges.txt', 'unet/config.json'];

/** What reads the noise and the timestep and what gives the prediction: few numbers, and every step depends on them. */
const DELICATE = /^(?:conv_in|conv_out|time_embedding|add_embedding)\b/;

/** Every matrix and every convolution in int8, also those of the VAE: half a megabyte of scales, and a quarter of the size. */
function storageOf({ name, shape }: TensorInfo): Storage {
  return shape.length > 1 && name.endsWith('.weight') && !DELICATE.test(name) ? 'int8-channels' : 'exact';
}

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('Which folder has the weights?');

const files = new Map<string, Uint8Array>();
for (const name of COPIED) files.set(name, await readFile(path.join(folder, name)));
for (const network of NETWORKS) {
  const file = `weights/${network}.safetensors`;
  const weights = await openSafetensors(await openAsBlob(path.join(folder, file)), file);
  const parts: Uint8Array[] = [];
  for await (const part of writeSafetensors(quantiseTensors(weights, storageOf))) parts.push(part);
  files.set(`${network}/model.safetensors`, Buffer.concat(parts));
}
for (const [name, bytes] of files) {
  await mkdir(path.dirname(path.join(TARGET, name)), { recursive: true });
  await writeFile(path.join(TARGET, name), bytes);
  console.log(
    `{ path: '${name}', sizeBytes: ${bytes.length}, sha256: '${createHash('sha256').update(bytes).digest('hex')}' },`,
  );
}
