import fc from 'fast-check';
import { expect, test } from 'vitest';
import {
  encodeSafetensorsHeader,
  SAFETENSORS_DTYPE_BYTES,
  type SafetensorsDtype,
} from '#codecs/safetensors.ts';
import { architectures, type ArchitectureName } from '#engine/architectures/index.ts';
import { openCheckpoint, type Component } from '#weights/checkpoint.ts';
import { inferConfig } from '#weights/infer-config.ts';
import { recogniseWeights } from '#weights/recognise.ts';
import { openSafetensors, type SafetensorsFile } from '#weights/safetensors-source.ts';
import { byteLength, elementCount, type TensorInfo } from '#weights/tensor-source.ts';
import { AppError } from '#protocol/error.ts';
import names from '../../fixtures/checkpoint-names.json' with { type: 'json' };
import { clipVisionShapes, ipAdapterShapes, projectionShapes } from '../../support/tiny-image-prompt.ts';
import { headerOf } from './tensors.ts';

/*
 * Files with the names of real ones and the shapes of none. Whatever is in them, they are answered with an AppError or
 * with tensors that lie within the file.
 */

const RUNS = { seed: 20_26, numRuns: 300 };

interface Tensor {
  name: string;
  dtype: SafetensorsDtype;
  shape: number[];
}

/** Tensors that files of each kind are recognised by, and some of every other sort. */
const TELLING = [
  'model.diffusion_model.input_blocks.0.0.weight',
  'model.diffusion_model.input_blocks.3.0.op.weight',
  'model.diffusion_model.input_blocks.1.1.transformer_blocks.0.attn2.to_k.weight',
  'first_stage_model.decoder.conv_in.weight',
  'cond_stage_model.transformer.text_model.encoder.layers.0.mlp.fc1.weight',
  'cond_stage_model.transformer.text_model.embeddings.token_embedding.weight',
  'cond_stage_model.transformer.text_model.embeddings.position_embedding.weight',
  'cond_stage_model.model.transformer.resblocks.0.attn.in_proj_weight',
  'cond_stage_model.model.text_projection',
  'cond_stage_model.model.token_embedding.weight',
  'cond_stage_model.model.positional_embedding',
  'conditioner.embedders.1.model.transformer.resblocks.0.attn.in_proj_weight',
  'conditioner.embedders.1.model.text_projection',
  'control_model.input_hint_block.0.weight',
  'input_blocks.0.0.weight',
  'input_blocks.999999999.0.op.weight',
  'conv_in.weight',
  'time_embedding.linear_1.weight',
  'down_blocks.0.resnets.0.conv1.weight',
  'up_blocks.0.resnets.0.conv1.weight',
  'mid_block.attentions.0.transformer_blocks.0.attn2.to_k.weight',
  'decoder.up_blocks.0.resnets.0.conv1.weight',
  'decoder.up.0.block.0.conv1.weight',
  'decoder.layers.0.weight',
  'encoder.layers.0.weight',
  'conv_first.weight',
  'body.0.rdb1.conv1.weight',
  'model.0.weight',
  'model.1.sub.0.RDB1.conv1.0.weight',
  'conv_up2.weight',
  'lora_unet_down_blocks_0_attentions_0_transformer_blocks_0_attn2_to_k.lora_down.weight',
  'lora_te1_text_model_encoder_layers_0_mlp_fc1.hada_w1_a',
  'emb_params',
  'clip_l',
  'clip_g',
  'ip_adapter.1.to_k_ip.weight',
  'image_proj.proj.weight',
  'image_proj.latents',
  'vision_model.embeddings.class_embedding',
  'vision_model.embeddings.patch_embedding.weight',
  'vision_model.embeddings.position_embedding.weight',
  'vision_model.pre_layrnorm.weight',
  'v_pred',
  'x.weight.scale',
  'constructor.weight',
  '__proto__',
  'input_blocks.1.0.toString.weight',
];

const REAL = [names.sd15.unet, names.sd15.vae, names.sd15.text_encoder, names.sdxl.unet]
  .flat()
  .map(([original]) => String(original));

/** Sides that mean something: none, a family's widths, and too many. */
const side = fc.oneof(fc.nat(9), fc.constantFrom(32, 64, 77, 320, 768, 1024, 1280, 2048, 2 ** 31, 2 ** 40));

/** Small enough to be written, or empty with sides of any size. */
const shape = fc.oneof(
  fc.array(fc.nat(9), { maxLength: 4 }),
  fc.tuple(fc.array(side, { maxLength: 3 }), fc.nat(3)).map(([sides, at]) => sides.toSpliced(at, 0, 0)),
  fc.tuple(side, fc.constant(1)).filter(([rows]) => rows < 5000),
);

const file = fc
  .uniqueArray(
    fc.record({
      name: fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...TELLING) }, fc.constantFrom(...REAL)),
      dtype: fc.constantFrom<SafetensorsDtype>('F32', 'F16', 'BF16', 'F8_E4M3', 'I8', 'U8', 'I64'),
      shape,
    }),
    { selector: ({ name }) => name, minLength: 1, maxLength: 24 },
  )
  .filter((tensors) => tensors.every((tensor) => sizeOf(tensor) < 1e6));

function sizeOf({ dtype, shape: sides }: Tensor): number {
  return sides.reduce((product, size) => product * size, SAFETENSORS_DTYPE_BYTES[dtype]);
}

/** The file, which fails where anything beyond its end is asked for. */
function strictFile(bytes: Uint8Array<ArrayBuffer>) {
  return {
    size: bytes.length,
    slice(start: number, end: number) {
      expect(start).toBeGreaterThanOrEqual(0);
      expect(end).toBeGreaterThanOrEqual(start);
      return new Blob([bytes.subarray(start, end)]);
    },
  };
}

async function open(tensors: readonly Tensor[]): Promise<SafetensorsFile> {
  const header = encodeSafetensorsHeader(tensors);
  const bytes = new Uint8Array(header.length + tensors.reduce((sum, tensor) => sum + sizeOf(tensor), 0));
  bytes.set(header);
  return openSafetensors(strictFile(bytes), 'hostile.safetensors');
}

/** Runs something that may refuse, but only as it should. */
function orRefuse<T>(work: () => T): T | undefined {
  try {
    return work();
  } catch (thrown) {
    if (thrown instanceof AppError) return undefined;
    throw thrown;
  }
}

test('networks found in a file lie within it', async () => {
  await fc.assert(
    fc.asyncProperty(file, async (tensors) => {
      const source = await open(tensors);
      const { components, leftOver } = openCheckpoint(source);
      for (const name of leftOver) expect(source.info(name)).toBeDefined();
      for (const network of components.values()) {
        for (const name of network.names()) {
          const info = network.info(name);
          if (!info) throw new Error(`${name} is named, but not known.`);
          const place = network.location?.(name);
          if (place) {
            expect(place.length).toBe(byteLength(info));
            expect(place.offset + place.length).toBeLessThanOrEqual(source.sizeBytes);
          }
          expect((await network.read(name)).length).toBe(byteLength(info));
        }
      }
    }),
    RUNS,
  );
});

test('files are recognised by their headers in finite numbers', async () => {
  await fc.assert(
    fc.asyncProperty(file, async (tensors) => {
      const { kind, problem, parameters, bytes } = recogniseWeights(await open(tensors));
      for (const number of [parameters, ...Object.values(bytes)])
        expect(Number.isSafeInteger(number)).toBe(true);
      expect(kind !== 'unknown' || problem !== null).toBe(true);
    }),
    RUNS,
  );
});

/** The graphs of each component. */
const GRAPHS: Readonly<Record<Component, readonly ArchitectureName[]>> = {
  unet: ['unet-2d-condition'],
  controlnet: ['controlnet'],
  vae: ['autoencoder-kl-decoder', 'autoencoder-kl-encoder'],
  text_encoder: ['clip-text'],
  text_encoder_2: ['clip-text'],
  taesd: ['autoencoder-tiny-decoder', 'autoencoder-tiny-encoder'],
  upscaler: ['rrdb-net'],
  image_encoder: ['clip-vision'],
  ip_adapter: ['ip-adapter-projection'],
};

/** Networks as they should be, under their diffusers names. */
const NETWORKS: Readonly<Partial<Record<Component, readonly TensorInfo[]>>> = {
  unet: infosOf(names.sd15.unet),
  vae: infosOf(names.sd15.vae),
  text_encoder: infosOf(names.sd15.text_encoder),
  text_encoder_2: names.sdxl.text_encoder_2_diffusers_names.map(([name, sides]) =>
    infoOf(String(name), sides as number[]),
  ),
  image_encoder: Object.entries(clipVisionShapes()).map(([name, sides]) => infoOf(name, sides)),
  ip_adapter: Object.entries({
    ...projectionShapes.plus(64, 768),
    ...ipAdapterShapes([320, 640], 768),
  }).map(([name, sides]) => infoOf(name, sides)),
};

function infosOf(rows: readonly (readonly (string | number[])[])[]): TensorInfo[] {
  return rows.map(([, name, sides]) => infoOf(String(name), sides as number[]));
}

function infoOf(name: string, sides: readonly number[]): TensorInfo {
  return { name, type: 'float16', shape: sides };
}

/** Which tensor, which of its sides, and what becomes of it; the tensors that sizes are read off come often. */
const damages = fc.array(
  fc.record({
    tensor: fc.oneof(
      fc.nat(),
      fc.constantFrom(
        'conv_in.weight',
        'down_blocks.0.resnets.0.conv1.weight',
        'decoder.conv_in.weight',
        'text_model.embeddings.token_embedding.weight',
        'text_model.embeddings.position_embedding.weight',
        'text_model.encoder.layers.0.mlp.fc1.weight',
        'vision_model.embeddings.patch_embedding.weight',
        'vision_model.embeddings.position_embedding.weight',
        'vision_model.encoder.layers.0.mlp.fc1.weight',
        'visual_projection.weight',
        'image_proj.latents',
        'image_proj.layers.0.0.to_q.weight',
        'ip_adapter.1.to_k_ip.weight',
      ),
    ),
    axis: fc.nat(1),
    to: fc.oneof(fc.constantFrom('gone', 'flat'), side, fc.constantFrom(2048, 30_000, 2 ** 40)),
  }),
  { minLength: 1, maxLength: 4 },
);

test.each(Object.entries(NETWORKS))('a graph of a damaged %s is refused or small', (key, network) => {
  const component = key as Component;
  fc.assert(
    fc.property(damages, (changes) => {
      const tensors = new Map(network.map((info) => [info.name, info]));
      for (const { tensor, axis, to } of changes) {
        const name = typeof tensor === 'string' ? tensor : (network[tensor % network.length]?.name ?? '');
        const info = tensors.get(name);
        if (!info) continue;
        if (to === 'gone') tensors.delete(name);
        else if (to === 'flat') tensors.set(name, { ...info, shape: [elementCount(info.shape)] });
        else if (typeof to === 'number') {
          tensors.set(name, { ...info, shape: info.shape.map((size, at) => (at === axis ? to : size)) });
        }
      }
      const weights = headerOf([...tensors.values()]);
      const config = orRefuse(() => inferConfig(component, weights));
      if (!config) return;
      for (const architecture of GRAPHS[component]) {
        const graph = orRefuse(() => architectures[architecture].build(config, { weights }));
        expect(graph?.model.length ?? 0).toBeLessThan(1e7);
      }
    }),
    { ...RUNS, numRuns: 80 },
  );
});
