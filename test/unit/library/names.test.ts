import 'fake-indexeddb/auto';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { fileName, findAddOn } from '#api/models.ts';
import { openAddOns } from '#engine/models/add-ons.ts';
import { createLibrary } from '#library/library.ts';
import { packs } from '#library/packs/index.ts';
import type { AddOnInfo, AddOnPack } from '#protocol/model.ts';
import { openSafetensors, writeSafetensors } from '#weights/safetensors-source.ts';
import { openModelFiles } from '#storage/model-files.ts';
import { openImportedPacks } from '#storage/packs.ts';
import { beforeEach, describe, expect, it } from 'vitest';

const bytes = Uint8Array.from(
  await readFile(path.resolve(import.meta.dirname, '../../fixtures/models/lora-kohya.safetensors')),
);

/** The LoRA with other notes in its header. */
async function withMetadata(metadata: Record<string, string>): Promise<Blob> {
  const parts: BlobPart[] = [];
  for await (const part of writeSafetensors(await openSafetensors(new Blob([bytes]), 'lora'), metadata))
    parts.push(part);
  return new Blob(parts);
}

let databases = 0;
let library: ReturnType<typeof createLibrary>;

beforeEach(() => {
  databases++;
  library = createLibrary({
    packs: [packs['emoji-mini']],
    files: openModelFiles(`names-${databases}`),
    imported: openImportedPacks(`name-packs-${databases}`),
    base: 'http://localhost/',
    estimate: () => Promise.resolve({}),
  });
});

async function add(name: string, metadata: Record<string, string> = {}) {
  const file = new File([await withMetadata({ name, ...metadata })], name);
  return library.importPack(
    { from: 'files', files: [{ path: name, file }] },
    { storage: 'exact' },
    null,
    () => undefined,
  );
}

async function installed(): Promise<AddOnInfo[]> {
  return (await library.list()).flatMap(({ pack, state }) =>
    pack.kind === 'model' ? [] : [{ pack, state, sizeBytes: 1, sha256: pack.files[0]?.sha256 ?? '' }],
  );
}

/** What a tag in a prompt finds. */
const tagged = async (name: string): Promise<AddOnPack | undefined> =>
  openAddOns(
    (await installed()).map(({ pack }) => pack),
    () => () => Promise.resolve(undefined),
  ).find('lora', name);

describe('a file keeps its name', () => {
  it.each([
    '水墨画风格',
    'アニメ調 v1.0',
    'Картина маслом',
    'My LoRA (v1.0) [final]+more',
    '_v1',
    'v1.0',
    'Ünïcödé',
    '🎨 paint',
    "it's, well & good",
    'ภาพวาด',
  ])('%s', async (stem) => {
    expect(await add(`${stem}.safetensors`)).toBe(stem);
    const [lora] = await installed();
    expect(lora?.pack.title).toBe(stem);
    expect(lora && fileName(lora)).toBe(`${stem}.safetensors`);
    for (const name of [stem, `${stem}.safetensors`, stem.toUpperCase(), stem.normalize('NFD')])
      expect(findAddOn(await installed(), 'lora', name)?.pack.id).toBe(stem);
    expect((await tagged(stem))?.id).toBe(stem);
  });

  it.each([
    ['a:b<c>d', 'a-b-c-d'],
    ['  ..hidden.. ', 'hidden'],
    ['???', 'model'],
    ['line\nbreak', 'line-break'],
    ['x'.repeat(119) + '🎨🎨', 'x'.repeat(119)],
  ])('but for what no file name can have: %j', async (stem, id) => {
    expect(await add(`${stem}.safetensors`)).toBe(id);
  });

  it('names of macOS are the same as typed ones', async () => {
    expect(await add(`${'Ü'.normalize('NFD')}.safetensors`)).toBe('Ü'.normalize('NFC'));
  });
});

describe('names stay apart', () => {
  it.each([
    ['水墨', '油画', '油画'],
    ['Модель', 'модель', 'модель-2'],
    ['model', 'model [abc]', 'model [abc]'],
    ['v1.0', 'v1.5', 'v1.5'],
  ])('%s and %s', async (first, second, id) => {
    expect(await add(`${first}.safetensors`)).toBe(first);
    expect(await add(`${second}.safetensors`, { other: 'yes' })).toBe(id);
    const addOns = await installed();
    expect(findAddOn(addOns, 'lora', first)?.pack.id).toBe(first);
    expect(findAddOn(addOns, 'lora', id)?.pack.id).toBe(id);
    expect(findAddOn(addOns, 'lora', `${id}.safetensors`)?.pack.id).toBe(id);
  });
});

describe('the name a LoRA was trained under', () => {
  it('finds it in tags and requests, after names of files', async () => {
    await add('add_detail-v2.safetensors', { ss_output_name: 'add_detail' });
    expect((await tagged('add_detail'))?.id).toBe('add_detail-v2');
    expect(findAddOn(await installed(), 'lora', 'Add_Detail')?.pack.id).toBe('add_detail-v2');
    await add('add_detail.safetensors');
    expect((await tagged('add_detail'))?.id).toBe('add_detail');
  });

  it('finds none where two have it, as in A1111', async () => {
    await add('a.safetensors', { ss_output_name: 'last' });
    await add('b.safetensors', { ss_output_name: 'last' });
    expect(await tagged('last')).toBeUndefined();
    await add('last.safetensors');
    expect((await tagged('last'))?.id).toBe('last');
  });

  it.each(['', 'None', '  '])('is none where it is %j', async (alias) => {
    await add('a.safetensors', { ss_output_name: alias });
    expect(await tagged(alias)).toBeUndefined();
  });
});

it('the notes of a header come along, but for images and the very long', async () => {
  await add('a.safetensors', {
    ss_tag_frequency: JSON.stringify({ cats: { cat: 12 } }),
    ssmd_cover_images: '["data:image/png;base64,AAAA"]',
    ss_datasets: JSON.stringify({ tags: 'x'.repeat(6_000_000) }),
  });
  const [lora] = await installed();
  expect(lora?.pack.metadata).toEqual({ name: 'a.safetensors', ss_tag_frequency: '{"cats":{"cat":12}}' });
});
