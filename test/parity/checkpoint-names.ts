import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import {
  buildAutoencoderKlDecoder,
  buildAutoencoderKlEncoder,
} from '#engine/architectures/autoencoder-kl.ts';
import { buildClipText } from '#engine/architectures/clip-text.ts';
import { buildUnet2dCondition } from '#engine/architectures/unet-2d-condition.ts';
import type { BuiltGraph } from '#engine/graph/graph.ts';
import { inferConfig } from '#weights/infer-config.ts';
import type { TensorInfo, TensorSource } from '#weights/tensor-source.ts';
import { toAppError } from '#protocol/error.ts';
import type { ParityCase } from './case.ts';

/** The tensors of real checkpoints: original name where there is one, diffusers name, shape. */
interface CheckpointNames {
  sd15: Record<'unet' | 'vae' | 'text_encoder', [original: string, name: string, shape: number[]][]>;
  sdxl: {
    unet: [original: string, name: string, shape: number[]][];
    text_encoder_2_diffusers_names: [name: string, shape: number[]][];
  };
}

/** A source that knows names and shapes only: all that building a graph takes. */
function namesOnly(tensors: Iterable<readonly [name: string, shape: readonly number[]]>): TensorSource {
  const infos = new Map<string, TensorInfo>();
  for (const [name, shape] of tensors) infos.set(name, { name, type: 'float16', shape });
  return {
    names: () => infos.keys(),
    info: (name) => infos.get(name),
    read: (name) => Promise.reject(new Error(`${name} has no bytes.`)),
  };
}

/** Builds the full-size networks and checks that they use each tensor of a real checkpoint exactly once. */
export function* checkpointCases(dir: string): Generator<ParityCase> {
  const file = join(dir, 'checkpoint-names.json');
  if (!existsSync(file)) return;
  const names = JSON.parse(readFileSync(file, 'utf8')) as CheckpointNames;
  const diffusers = (tensors: [string, string, number[]][]) =>
    namesOnly(tensors.map(([, name, shape]) => [name, shape] as const));

  yield consumption('sd15 unet', () => {
    const weights = diffusers(names.sd15.unet);
    return [buildUnet2dCondition(inferConfig('unet', weights), { weights })];
  });
  yield consumption('sd15 vae', () => {
    const weights = diffusers(names.sd15.vae);
    const config = inferConfig('vae', weights);
    return [buildAutoencoderKlEncoder(config, { weights }), buildAutoencoderKlDecoder(config, { weights })];
  });
  yield consumption('sd15 text_encoder', () => {
    const weights = diffusers(names.sd15.text_encoder);
    return [buildClipText(inferConfig('text_encoder', weights), { weights })];
  });
  yield consumption('sdxl unet', () => {
    const weights = diffusers(names.sdxl.unet);
    return [buildUnet2dCondition(inferConfig('unet', weights), { weights })];
  });
  yield consumption('sdxl text_encoder_2', () => {
    const weights = namesOnly(names.sdxl.text_encoder_2_diffusers_names);
    return [buildClipText(inferConfig('text_encoder_2', weights), { weights })];
  });
}

/** `error` counts the tensors that none of the graphs uses; one used twice or missing fails the building. */
function consumption(name: string, build: () => readonly BuiltGraph[]): ParityCase {
  const common = { name: `checkpoint-names/${name}`, tolerance: 0, supported: true };
  try {
    const graphs = build();
    const used = graphs.flatMap((graph) => graph.parameters.map((parameter) => parameter.name));
    const unused = (graphs[0]?.unused ?? []).filter((tensor) => !used.includes(tensor));
    const twice = used.length - new Set(used).size;
    return { ...common, error: unused.length + twice, note: `${used.length} tensors` };
  } catch (thrown) {
    return { ...common, error: Infinity, note: toAppError(thrown).message };
  }
}
