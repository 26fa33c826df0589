import 'fake-indexeddb/auto';
import { describe, expect, it } from 'vitest';
import { createLibrary } from '#library/library.ts';
import { packs } from '#library/packs/index.ts';
import type { ImportSource } from '#protocol/import.ts';
import type { AnyPack } from '#protocol/model.ts';
import { openModelFiles } from '#storage/model-files.ts';
import { openImportedPacks } from '#storage/packs.ts';
import { exportedOnnx } from '../../support/onnx-file.ts';
import { tinyDepth, tinySamDecoder, tinySamEncoder, tinyU2net } from '../../support/tiny-finders.ts';
import {
  BERT_TOKENIZER,
  CLIP_TOKENIZER,
  tinyGroundingDino,
  tinyOwlVit,
} from '../../support/tiny-word-finders.ts';

let databases = 0;

function openLibrary() {
  const name = `onnx-networks-${databases++}`;
  const files = openModelFiles(`${name}-files`);
  const library = createLibrary({
    packs: [packs['emoji-mini']],
    files,
    imported: openImportedPacks(`${name}-packs`),
    base: 'https://app.example/',
    estimate: () => Promise.resolve({}),
  });
  return { library, files };
}

/** Files as someone drops them. */
const dropped = (content: Readonly<Record<string, Uint8Array<ArrayBuffer>>>): ImportSource => ({
  from: 'files',
  files: Object.entries(content).map(([path, bytes]) => ({
    path,
    file: new File([bytes], path.split('/').at(-1) ?? path),
  })),
});

const text = (content: string) => new TextEncoder().encode(content);

describe('an ONNX graph by itself', () => {
  it.each([
    ['u2netp.onnx', tinyU2net(), { kind: 'finder', network: 'u2net' }],
    ['isnet-general-use.onnx', tinyU2net(), { kind: 'finder', network: 'isnet' }],
    ['isnet-anime.onnx', tinyU2net(), { kind: 'finder', network: 'isnet-anime' }],
    ['midas_v21_small_256.onnx', tinyU2net(), { kind: 'preprocessor', network: 'midas' }],
    ['depth_anything_v2_vits.onnx', tinyDepth(), { kind: 'preprocessor', network: 'depth-anything' }],
    // The name of its output says it.
    ['model.onnx', tinyDepth(), { kind: 'preprocessor', network: 'depth-anything' }],
  ])('is told by its header and name: %s', async (path, bytes, expected) => {
    const { library, files } = openLibrary();
    const source = dropped({ [path]: bytes });
    const offer = await library.inspect(source, null);
    expect(offer).toMatchObject({ kind: expected.kind, format: 'onnx', problem: null });
    const told: AnyPack[] = [];
    const id = await library.importPack(source, { storage: 'exact' }, null, (pack) => void told.push(pack));
    expect(told.at(-1)).toMatchObject(expected);
    expect((await files.open(id, 'model.onnx'))?.size).toBe(bytes.length);
  });

  it('is refused with what to do where it is of no known kind', async () => {
    const { library } = openLibrary();
    const offer = await library.inspect(dropped({ 'text_encoder.onnx': exportedOnnx(1) }), null);
    expect(offer).toMatchObject({ kind: 'unknown', format: 'onnx' });
    expect(offer.problem).toContain('drop the folder it is in');
  });

  it('is refused where it is damaged', async () => {
    const { library } = openLibrary();
    const half = tinyU2net().slice(0, 60);
    await expect(library.inspect(dropped({ 'u2net.onnx': half }), null)).rejects.toMatchObject({
      code: 'integrity_failed',
    });
  });
});

describe('a folder in the layout of transformers.js', () => {
  it('is a Segment Anything with both graphs', async () => {
    const { library, files } = openLibrary();
    const source = dropped({
      'slimsam/config.json': text('{"model_type":"sam"}'),
      'slimsam/preprocessor_config.json': text('{"size":{"longest_edge":1024}}'),
      'slimsam/onnx/vision_encoder.onnx': tinySamEncoder(),
      'slimsam/onnx/prompt_encoder_mask_decoder.onnx': tinySamDecoder(),
      'slimsam/onnx/vision_encoder_quantized.onnx': tinySamEncoder(),
    });
    const told: AnyPack[] = [];
    const id = await library.importPack(source, { storage: 'exact' }, null, (pack) => void told.push(pack));
    const [pack] = told.slice(-1);
    expect(pack).toMatchObject({ kind: 'finder', network: 'sam' });
    expect(pack?.files.map(({ path }) => path).sort()).toEqual([
      'preprocessor_config.json',
      'prompt_encoder_mask_decoder.onnx',
      'vision_encoder.onnx',
    ]);
    expect(await files.open(id, 'vision_encoder.onnx')).toBeDefined();
  });

  it('brings the main graph of several precisions, and how images are prepared', async () => {
    const { library } = openLibrary();
    const source = dropped({
      'depth-anything-small/preprocessor_config.json': text('{"size":{"height":518,"width":518}}'),
      'depth-anything-small/onnx/model.onnx': tinyDepth(),
      'depth-anything-small/onnx/model_fp16.onnx': tinyDepth(),
    });
    const offer = await library.inspect(source, null);
    expect(offer).toMatchObject({ kind: 'preprocessor', problem: null });
    expect(offer.files.map(({ path }) => path)).toEqual(['model.onnx', 'preprocessor_config.json']);
  });

  it.each([
    ['grounding-dino', tinyGroundingDino(), BERT_TOKENIZER],
    ['owlvit', tinyOwlVit(), CLIP_TOKENIZER],
  ])(
    'is a finder by words with its tokenizer, in int8 where that is there: %s',
    async (network, graph, tokenizer) => {
      const { library } = openLibrary();
      const source = dropped({
        'detector/config.json': text('{}'),
        'detector/tokenizer.json': text(tokenizer),
        'detector/preprocessor_config.json': text('{}'),
        'detector/onnx/model.onnx': new Uint8Array(10),
        'detector/onnx/model_quantized.onnx': graph,
      });
      const told: AnyPack[] = [];
      await library.importPack(source, { storage: 'exact' }, null, (pack) => void told.push(pack));
      expect(told.at(-1)).toMatchObject({ kind: 'finder', network });
      expect(
        told
          .at(-1)
          ?.files.map(({ path }) => path)
          .sort(),
      ).toEqual(['model.onnx', 'preprocessor_config.json', 'tokenizer.json']);
      const without = await library.inspect(dropped({ 'detector/onnx/model.onnx': graph }), null);
      expect(without.problem).not.toBeNull();
    },
  );
});
