import 'fake-indexeddb/auto';
import { describe, expect, it } from 'vitest';
import { createLibrary } from '#library/library.ts';
import { packs } from '#library/packs/index.ts';
import { AppError } from '#protocol/error.ts';
import type { ImportSource } from '#protocol/import.ts';
import type { AnyPack } from '#protocol/model.ts';
import { openModelFiles } from '#storage/model-files.ts';
import { openImportedPacks } from '#storage/packs.ts';
import {
  CAPTIONER_FILES,
  DEEPDANBOORU_TAGS,
  FLORENCE_FILES,
  tinyCaptionDecoder,
  tinyCaptionEncoder,
  tinyDeepDanbooru,
  tinyFlorence,
  tinyWdTagger,
  WD_TAGS,
} from '../../support/tiny-describers.ts';
import { fileOf } from '../../support/tiny-packs.ts';
import {
  forgetfulTextGenerator,
  TEXT_GENERATOR_FILES,
  tinyTextGenerator,
  WORD_LIST,
} from '../../support/tiny-text-generator.ts';
import { randomTensors, tensorsOf } from '../../support/random-weights.ts';

let databases = 0;

function openLibrary() {
  const name = `describers-${databases++}`;
  return createLibrary({
    packs: [packs['emoji-mini']],
    files: openModelFiles(`${name}-files`),
    imported: openImportedPacks(`${name}-packs`),
    base: 'https://app.example/',
    estimate: () => Promise.resolve({}),
  });
}

type Content = Readonly<Record<string, Uint8Array<ArrayBuffer> | string | Blob>>;

/** A folder as someone drops it. */
const dropped = (content: Content): ImportSource => ({
  from: 'files',
  files: Object.entries(content).map(([path, part]) => ({
    path: `some-folder/${path}`,
    file: new File([part], path.split('/').at(-1) ?? path),
  })),
});

async function imported(content: Content): Promise<AnyPack | undefined> {
  const told: AnyPack[] = [];
  const library = openLibrary();
  await library.importPack(dropped(content), { storage: 'exact' }, null, (pack) => void told.push(pack));
  return told.at(-1);
}

const paths = (pack: AnyPack | undefined) => pack?.files.map(({ path }) => path).sort();

describe('a folder with a graph and the names of its tags', () => {
  it('is a WD14 tagger, whatever weights lie beside it', async () => {
    const weights = await fileOf(tensorsOf(randomTensors({ 'head.weight': [4, 4] })));
    const pack = await imported({
      'model.onnx': tinyWdTagger(),
      'model.safetensors': weights,
      'selected_tags.csv': WD_TAGS,
      'config.json': '{}',
    });
    expect(pack).toMatchObject({ kind: 'tagger', network: 'wd-tagger', family: null });
    expect(paths(pack)).toEqual(['model.onnx', 'selected_tags.csv']);
  });

  it('is a DeepDanbooru', async () => {
    const pack = await imported({ 'deepdanbooru.onnx': tinyDeepDanbooru(), 'tags.txt': DEEPDANBOORU_TAGS });
    expect(pack).toMatchObject({ kind: 'tagger', network: 'deepdanbooru' });
    expect(paths(pack)).toEqual(['model.onnx', 'tags.txt']);
  });

  it('is not known without the names', async () => {
    const offer = await openLibrary().inspect(dropped({ 'model.onnx': tinyWdTagger() }), null);
    expect(offer.kind).toBe('unknown');
    expect(offer.problem).not.toBeNull();
  });
});

describe('a repository of a caption model', () => {
  it('is taken with the decoder that remembers, its tokenizer and its configurations', async () => {
    const pack = await imported({
      ...CAPTIONER_FILES,
      'README.md': '',
      'onnx/encoder_model.onnx': tinyCaptionEncoder(),
      'onnx/decoder_model_merged.onnx': tinyCaptionDecoder(),
      'onnx/decoder_model.onnx': tinyCaptionDecoder(),
      'onnx/decoder_model_merged_quantized.onnx': new Uint8Array(10),
    });
    expect(pack).toMatchObject({ kind: 'captioner', network: 'vision-encoder-decoder' });
    expect(paths(pack)).toEqual([
      'config.json',
      'decoder_model_merged.onnx',
      'encoder_model.onnx',
      'preprocessor_config.json',
      'tokenizer.json',
    ]);
  });

  it('is a Florence-2 with its four graphs, in int8 where all are there', async () => {
    const graphs = Object.entries(tinyFlorence());
    const named = (ending: string) =>
      Object.fromEntries(graphs.map(([path, graph]) => [`onnx/${path.replace('.onnx', ending)}`, graph]));
    const useless = Object.fromEntries(graphs.map(([path]) => [`onnx/${path}`, new Uint8Array(10)]));
    const pack = await imported({ ...FLORENCE_FILES, ...useless, ...named('_quantized.onnx') });
    expect(pack).toMatchObject({ kind: 'captioner', network: 'florence2' });
    expect(paths(pack)).toEqual([...graphs.map(([path]) => path), ...Object.keys(FLORENCE_FILES)].sort());
    const half = Object.fromEntries(Object.entries(named('.onnx')).slice(0, 2));
    const offer = await openLibrary().inspect(dropped({ ...FLORENCE_FILES, ...half }), null);
    expect(offer.problem).not.toBeNull();
  });

  it('is refused without its decoder', async () => {
    const offer = await openLibrary().inspect(
      dropped({ ...CAPTIONER_FILES, 'onnx/encoder_model.onnx': tinyCaptionEncoder() }),
      null,
    );
    expect(offer.problem).not.toBeNull();
  });
});

describe('a repository of a text generator', () => {
  it('is a prompt expansion, with its decoder in int8 and the words it may use', async () => {
    const quantised = tinyTextGenerator(1);
    const pack = await imported({
      ...TEXT_GENERATOR_FILES,
      ...WORD_LIST,
      'vocab.json': '{}',
      'onnx/decoder_model.onnx': forgetfulTextGenerator(),
      'onnx/decoder_model_merged.onnx': tinyTextGenerator(),
      'onnx/decoder_model_merged_quantized.onnx': quantised,
    });
    expect(pack).toMatchObject({ kind: 'prompt-expansion', network: 'text-generation', family: null });
    const { sizeBytes } = pack?.files.find(({ path }) => path.endsWith('.onnx')) ?? {};
    expect(sizeBytes).toBe(quantised.length);
    expect(paths(pack)).toEqual([
      'config.json',
      'decoder_model_merged.onnx',
      'positive.txt',
      'tokenizer.json',
    ]);
  });

  it('is one with a decoder that remembers nothing too', async () => {
    const pack = await imported({
      ...TEXT_GENERATOR_FILES,
      'onnx/decoder_model.onnx': forgetfulTextGenerator(),
    });
    expect(pack).toMatchObject({ kind: 'prompt-expansion', network: 'text-generation' });
  });

  it.each<[string, Content]>([
    ['without its tokenizer', { 'config.json': '{}', 'onnx/decoder_model_merged.onnx': tinyTextGenerator() }],
    ['that is cut off', { ...TEXT_GENERATOR_FILES, 'onnx/model.onnx': tinyTextGenerator().slice(0, 90) }],
  ])('is refused %s', async (_, content) => {
    const problem = await Promise.resolve(openLibrary().inspect(dropped(content), null)).then(
      (offer) => offer.problem,
      (thrown: unknown) => (thrown instanceof AppError ? thrown.code : null),
    );
    expect(problem).not.toBeNull();
  });
});
