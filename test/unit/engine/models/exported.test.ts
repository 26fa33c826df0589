import { readFileSync } from 'node:fs';
import { onnx } from 'onnx-proto';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { buildAutoencoderKlDecoder } from '#engine/architectures/autoencoder-kl.ts';
import { buildClipText } from '#engine/architectures/clip-text.ts';
import { buildUnet2dCondition } from '#engine/architectures/unet-2d-condition.ts';
import type { BuiltGraph } from '#engine/graph/graph.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import type { TensorSource } from '#weights/tensor-source.ts';
import type { AnyPack, ConfigFile, ModelPack } from '#protocol/model.ts';
import { textToImage, withPass } from '../../../support/jobs.ts';
import { readExternalData } from '../../../support/onnx-session.ts';
import { compareImages } from '../../../support/images.ts';
import { clipConfig, tinyClip } from '../../../support/tiny-clip.ts';
import {
  addOnPack,
  engineFor,
  fileOf,
  modelPack,
  generate,
  type FilledPack,
  type Generated,
} from '../../../support/tiny-packs.ts';

const { FLOAT, FLOAT16, INT64 } = onnx.TensorProto.DataType;
const CLIP = { width: 32, layers: 3 };

const fixture = (path: string) => readFileSync(`test/fixtures/models/${path}`);
const config = (name: string) => JSON.parse(fixture(`${name}/config.json`).toString()) as ConfigFile;

interface Network {
  source: TensorSource;
  /** The file behind it. */
  file: Blob;
  config: ConfigFile;
}

async function openNetwork(file: Blob, json: ConfigFile): Promise<Network> {
  return { source: await openSafetensors(file, 'model.safetensors'), file, config: json };
}

/**
 * A graph as optimum and Olive export them in float16: floats go in and come out in float16, whole timesteps go in, and
 * the weights lie in a file beside the graph.
 */
async function exportGraph(
  folder: string,
  graph: BuiltGraph,
  { source, file }: Network,
  extraInput?: string,
): Promise<Record<string, Blob>> {
  const bytes = new Uint8Array(await file.arrayBuffer());
  const data = await readExternalData(graph, source, { 'model.safetensors': bytes });
  const model = onnx.ModelProto.decode(graph.model);
  const body = model.graph;
  if (!body) throw new Error('There is no graph.');
  const cast = (from: string, to: string, type: number) =>
    onnx.NodeProto.create({
      opType: 'Cast',
      input: [from],
      output: [to],
      attribute: [{ name: 'to', type: onnx.AttributeProto.AttributeType.INT, i: type }],
    });
  const retype = (value: onnx.IValueInfoProto, type: number) => {
    if (value.type?.tensorType) value.type.tensorType.elemType = type;
  };
  const isFloat = (value: onnx.IValueInfoProto) => value.type?.tensorType?.elemType === FLOAT;
  const nodes = body.node ?? [];
  const inputs = body.input ?? [];
  for (const input of inputs.filter(isFloat)) {
    const name = input.name ?? '';
    retype(input, name === 'timestep' ? INT64 : FLOAT16);
    for (const node of nodes)
      node.input = (node.input ?? []).map((each) => (each === name ? `${name}.float32` : each));
    nodes.unshift(cast(name, `${name}.float32`, FLOAT));
  }
  for (const output of (body.output ?? []).filter(isFloat)) {
    const name = output.name ?? '';
    retype(output, FLOAT16);
    for (const node of nodes)
      node.output = (node.output ?? []).map((each) => (each === name ? `${name}.float32` : each));
    nodes.push(cast(`${name}.float32`, name, FLOAT16));
  }
  if (extraInput !== undefined) {
    inputs.push({ name: extraInput, type: { tensorType: { elemType: FLOAT, shape: { dim: [] } } } });
  }
  const files: Record<string, Blob> = {
    [`${folder}/model.onnx`]: new Blob([onnx.ModelProto.encode(model).finish().slice()]),
  };
  for (const { path, data: weights } of data) files[`${folder}/${path}`] = new Blob([weights.slice()]);
  return files;
}

const packs: FilledPack<AnyPack>[] = [];
const engine = engineFor(packs);
let built: FilledPack<ModelPack>;
let exported: FilledPack<ModelPack>;
let demanding: FilledPack<ModelPack>;

beforeAll(async () => {
  const unet = await openNetwork(
    new Blob([fixture('unet-sd1/diffusion_pytorch_model.safetensors')]),
    config('unet-sd1'),
  );
  const vae = await openNetwork(
    new Blob([fixture('autoencoder-kl/diffusion_pytorch_model.safetensors')]),
    config('autoencoder-kl'),
  );
  const clip = await openNetwork(await fileOf(tinyClip(CLIP)), clipConfig(CLIP));
  const unetGraph = buildUnet2dCondition(unet.config, { weights: unet.source });
  const textGraph = buildClipText(clip.config, { weights: clip.source, outputs: ['last_hidden_state'] });
  const vaeGraph = buildAutoencoderKlDecoder(vae.config, { weights: vae.source });
  const others = {
    ...(await exportGraph('text_encoder', textGraph, clip)),
    ...(await exportGraph('vae_decoder', vaeGraph, vae)),
  };
  exported = await modelPack(
    { ...(await exportGraph('unet', unetGraph, unet)), ...others },
    { id: 'exported', weights: 'onnx' },
  );
  demanding = await modelPack(
    { ...(await exportGraph('unet', unetGraph, unet, 'controlnet_cond')), ...others },
    { id: 'demanding', weights: 'onnx' },
  );
  built = await modelPack(
    {
      'unet/model.safetensors': unet.file,
      'vae/model.safetensors': vae.file,
      'text_encoder/model.safetensors': clip.file,
    },
    {
      id: 'built',
      configs: {
        'unet/config.json': unet.config,
        'vae/config.json': vae.config,
        'text_encoder/config.json': clip.config,
      },
    },
  );
  packs.push(exported, built, demanding);
});
afterAll(() => engine.unload());

const job = textToImage({ prompt: 'a cat', seeds: [7n], width: 64, height: 64, steps: 3 });

function difference(a: Generated, b: Generated): { mean: number; largest: number } {
  return compareImages(a.pngs[0] ?? new Uint8Array(), b.pngs[0] ?? new Uint8Array());
}

test('a float16 export with its weights beside it generates what built graphs generate', async () => {
  const theirs = await generate(engine, exported, job);
  const ours = await generate(engine, built, job);
  expect(difference(theirs, ours).largest).toBeLessThanOrEqual(4);
  const other = await generate(engine, exported, withPass(job, { guidanceScale: 1 }));
  expect(difference(other, ours).mean).toBeGreaterThan(difference(theirs, ours).mean);
});

/** The same graph with its weights in two files, under names as exporters write them. */
async function renameWeights(
  folder: string,
  files: Readonly<Record<string, Blob>>,
): Promise<Record<string, Blob>> {
  const graph = files[`${folder}/model.onnx`];
  const weights = files[`${folder}/model.safetensors`];
  if (!graph || !weights) throw new Error('The export has other files.');
  const model = onnx.ModelProto.decode(new Uint8Array(await graph.arrayBuffer()));
  let count = 0;
  for (const { externalData } of model.graph?.initializer ?? []) {
    const location = externalData?.find(({ key }) => key === 'location');
    if (location?.value !== 'model.safetensors') continue;
    location.value = count++ % 2 === 0 ? './weights.pb' : 'data/../data/more.bin';
  }
  const others = Object.entries(files).filter(([, file]) => file !== graph && file !== weights);
  return {
    ...Object.fromEntries(others),
    [`${folder}/model.onnx`]: new Blob([onnx.ModelProto.encode(model).finish().slice()]),
    [`${folder}/weights.pb`]: weights,
    [`${folder}/data/more.bin`]: weights,
  };
}

test('finds weights in several files, whatever path the graph has for them', async () => {
  const files = Object.fromEntries(
    Object.entries(exported.files).flatMap(([path, file]) => (file ? [[path, file] as const] : [])),
  );
  const renamed = await modelPack(await renameWeights('unet', files), { id: 'renamed', weights: 'onnx' });
  packs.push(renamed);
  expect(
    difference(await generate(engine, renamed, job), await generate(engine, exported, job)).largest,
  ).toBe(0);
  const incomplete = {
    pack: { ...renamed.pack },
    files: { ...renamed.files, 'unet/data/more.bin': undefined },
  };
  packs.push(incomplete);
  await expect(generate(engine, incomplete, job)).rejects.toMatchObject({
    code: 'model_not_found',
    detail: { file: 'unet/data/more.bin' },
  });
});

test('takes no LoRAs or embeddings, and says so', async () => {
  const lora = await addOnPack('lora', 'style', new Blob(['never read']));
  const embedding = await addOnPack('embedding', 'cat', new Blob(['never read']));
  const base = { ...job, promptOptions: { ...job.promptOptions, syntax: 'a1111' as const, clipSkip: 2 } };
  const images = base.images.map((image) => ({ ...image, prompt: ['a cat <lora:style:1>'] }));
  const { notes } = await generate(engine, exported, { ...base, images }, [lora, embedding]);
  const reason = 'Tiny sd1 consists of exported ONNX graphs, which take no add-ons.';
  expect(notes).toEqual([
    `The LoRA “style” had no effect: ${reason}`,
    `The embedding “cat” had no effect: ${reason}`,
    'Clip skip had no effect: this model’s text encoder only gives its last layer.',
  ]);
});

test('that wants what the engine cannot give it is refused by the names of the inputs', async () => {
  const refused = engine.load(demanding.pack);
  await expect(refused).rejects.toThrow('cannot give it: controlnet_cond');
  await expect(refused).rejects.toMatchObject({ code: 'unsupported_feature' });
});
