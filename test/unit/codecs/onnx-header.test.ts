import { readFile } from 'node:fs/promises';
import { buildUnet2dCondition } from '#engine/architectures/unet-2d-condition.ts';
import { openCheckpoint } from '#engine/weights/checkpoint.ts';
import { inferConfig } from '#engine/weights/infer-config.ts';
import { openSafetensors } from '#engine/weights/safetensors-source.ts';
import { readOnnxHeader } from '#codecs/onnx-header.ts';
import { expect, it } from 'vitest';
import { tinyCheckpoint } from '../../support/tiny-checkpoint.ts';

const LIMITS = { windowBytes: 64 * 1024, maxReads: 10_000 };

const readHeader = (bytes: Uint8Array, limits = LIMITS) =>
  readOnnxHeader((start, end) => Promise.resolve(bytes.subarray(start, end)), bytes.length, limits);

it('finds inputs, outputs and weights of a graph exported by torch', async () => {
  const folder = new URL('../../../public/models/emoji-mini/', import.meta.url);
  const found = await readHeader(await readFile(new URL('text_encoder/model.onnx', folder)));
  if (!found.ok) throw new Error(found.reason);
  const { inputs, outputs, numbers, externalFiles, isComplete } = found.header;
  expect({
    inputs,
    outputs,
    numbers: [...numbers],
    files: externalFiles.size,
    isComplete,
  }).toMatchInlineSnapshot(`
    {
      "files": 0,
      "inputs": [
        {
          "name": "input_ids",
          "shape": [
            "batch",
            77,
          ],
          "type": "int32",
        },
      ],
      "isComplete": true,
      "numbers": [
        [
          "float32",
          92672,
        ],
        [
          "int8",
          6389760,
        ],
      ],
      "outputs": [
        {
          "name": "last_hidden_state",
          "shape": [
            "batch",
            "LayerNormalizationlast_hidden_state_dim_1",
            256,
          ],
          "type": "float32",
        },
        {
          "name": "text_embeds",
          "shape": [
            "batch",
            256,
          ],
          "type": "float32",
        },
      ],
    }
  `);
});

it('names the files beside it that hold weights', async () => {
  const blob = await tinyCheckpoint({ vocabulary: 100 });
  const unet = openCheckpoint(await openSafetensors(blob, 'tiny.safetensors')).components.get('unet');
  if (!unet) throw new Error('There is no UNet.');
  const graph = buildUnet2dCondition(inferConfig('unet', unet), { weights: unet });
  const found = await readHeader(graph.model);
  if (!found.ok) throw new Error(found.reason);
  expect([...found.header.externalFiles]).toEqual(['tiny.safetensors']);
  expect(found.header.inputs.map(({ name, type, shape }) => [name, type, shape.at(-1)])).toContainEqual([
    'encoder_hidden_states',
    'float32',
    768,
  ]);
  expect(found.header.numbers.get('float16')).toBeGreaterThan(1e6);
});

it('tells what it knows when the limit of reads comes first', async () => {
  const folder = new URL('../../../public/models/emoji-mini/', import.meta.url);
  const found = await readHeader(await readFile(new URL('unet/model.onnx', folder)), {
    windowBytes: 4096,
    maxReads: 40,
  });
  expect(found).toMatchObject({ ok: true, header: { isComplete: false } });
});

it.each([
  ['nothing', []],
  ['no graph', [0x08, 0x07]],
  ['a part that is longer than the file', [0x3a, 0xff, 0x7f, 0x0a]],
  ['a number without end', [0x3a, 0x02, 0xff, 0xff]],
  ['an unknown kind of field', [0x0f, 0x00]],
])('refuses %s', async (_, bytes) => {
  expect((await readHeader(Uint8Array.from(bytes))).ok).toBe(false);
});
