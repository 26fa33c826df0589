import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { AppError } from '#protocol/error.ts';
import { readFloat32 } from '#weights/casts.ts';
import { openFooocusPatch, recogniseFooocusInpaint } from '#weights/fooocus-patch.ts';
import { matchLora, openTargets } from '#weights/match-lora.ts';
import { mergeLoras } from '#weights/merge-loras.ts';
import { openSafetensors } from '#weights/safetensors-source.ts';
import { openTorchArchive } from '#weights/torch-archive.ts';
import { readTorchPickle } from '#weights/torch-pickle.ts';
import { openZip } from '#weights/zip-entries.ts';
import expected from '../../fixtures/fooocus-inpaint/expected.json' with { type: 'json' };

const fixture = (path: string) => new Uint8Array(readFileSync(`test/fixtures/${path}`));
const HEAD = fixture('fooocus-inpaint/fooocus_inpaint_head.pth');
const PATCH = fixture('fooocus-inpaint/inpaint_v26.fooocus.patch');
const open = (bytes: Uint8Array<ArrayBuffer>) => openTorchArchive(new Blob([bytes]), 'the file');
const UNET = 'models/unet-sdxl/diffusion_pytorch_model.safetensors';

describe('files of torch.save', () => {
  it('are read deflated, with the versions that a state dict notes', async () => {
    const head = await open(HEAD);
    expect([...head.names()]).toEqual(['head']);
    expect(head.info('head')).toEqual({ name: 'head', type: 'float32', shape: [16, 5, 3, 3] });
    expect(await readFloat32(head, 'head')).toHaveLength(16 * 5 * 9);
    expect(recogniseFooocusInpaint(head)).toBe('head');
  });

  it('are read with 64-bit sizes, tuples part by part', async () => {
    const patch = await open(PATCH);
    const name = 'diffusion_model.input_blocks.0.0.weight';
    expect(patch.info(`${name}.0`)).toMatchObject({ type: 'uint8', shape: [16, 4, 3, 3] });
    expect(patch.info(`${name}.1`)).toMatchObject({ type: 'float32', shape: [16, 1, 1, 1] });
    expect(patch.info(name)).toBeUndefined();
    await expect(patch.read(name)).rejects.toMatchObject({ code: 'not_found' });
    expect(recogniseFooocusInpaint(patch)).toBe('patch');
  });
});

describe('a patch of Fooocus', () => {
  it('adds to each weight the difference that numpy gives', async () => {
    const network = await openSafetensors(new Blob([fixture(UNET)]), 'unet');
    const patch = openFooocusPatch(await open(PATCH), 'v2.6');
    expect(patch.unknown).toEqual([]);
    const model = new Map([['unet', network]] as const);
    expect(matchLora(openTargets(model), patch).skipped).toEqual([]);
    const merged = mergeLoras(model, [{ lora: patch, strength: 1 }]).get('unet');
    if (!merged) throw new Error('There is no UNet.');
    for (const [name, { first, last, sum, count }] of Object.entries(expected.differences)) {
      const [before, after] = [await readFloat32(network, name), await readFloat32(merged, name)];
      const added = Array.from(after, (value, i) => value - (before[i] ?? NaN));
      expect(added).toHaveLength(count);
      const near = [...first, ...last].map((value) => expect.closeTo(value, 6) as number);
      expect([...added.slice(0, 6), ...added.slice(-6)]).toEqual(near);
      expect(added.reduce((all, value) => all + value, 0)).toBeCloseTo(sum, 3);
    }
    const untouched = 'conv_out.weight';
    expect(await merged.read(untouched)).toEqual(await network.read(untouched));
  });

  it('is not what else torch.save writes', async () => {
    const head = await open(HEAD);
    expect(() => openFooocusPatch(head, 'The head')).toThrow(/not a patch/);
  });
});

describe('hostile files', () => {
  const refused = {
    name: 'AppError',
    code: expect.stringMatching(/^(?:unsupported_feature|integrity_failed)$/) as string,
  };
  const pickle = (...parts: (string | number)[]) =>
    Uint8Array.from(
      parts.flatMap((part) => (typeof part === 'number' ? [part] : [...new TextEncoder().encode(part)])),
    );
  const PROTO = [0x80, 2] as const;

  it.each([
    ['a call of the system', ['cposix\nsystem\n', 'X', 2, 0, 0, 0, 'ls', 0x85, 'R.'], /“posix.system”/],
    ['builtins', ['c__builtin__\neval\n.'], /“__builtin__.eval”/],
    ['a loader of torch', ['ctorch.storage\n_load_from_bytes\n.'], /_load_from_bytes/],
    ['a storage made an object', ['ctorch\nFloatStorage\n)R.'], /“torch.FloatStorage”/],
    ['an extension of pickle', [0x82, 1, '.'], /0x82/],
    ['an instance', ['(ios\nsystem\n.'], /0x69/],
    ['a name by the stack', [0x8c, 1, 'a', 0x8c, 1, 'b', 0x93, '.'], /0x8c/],
    ['attributes of a list', [']}b.'], /attributes/],
    ['numbers as names', ['}K', 1, 'Ns.'], /without names/],
    [
      'a storage alone',
      ['(X', 7, 0, 0, 0, 'storage', 'ctorch\nFloatStorage\nX', 1, 0, 0, 0, '0NK', 1, 'tQ.'],
      /storage/,
    ],
  ] as const)('with %s are refused by name', (_, parts, message) => {
    const run = () => readTorchPickle(pickle(...PROTO, ...parts), 'the file');
    expect(run).toThrow(message);
    expect(run).toThrow(AppError);
  });

  it.each([
    ['nothing', []],
    ['an end without a value', ['.']],
    ['a pop without a value', ['R.']],
    ['a value below a mark', ['N(', 0x85, '.']],
    ['a memory of nothing', ['h', 9, '.']],
    ['a text that is too long', ['X', 255, 255, 255, 255, 'a']],
    ['a name without an end', ['ctorch']],
    ['items of a number', ['K', 1, '(X', 1, 0, 0, 0, 'a', 'Nu.']],
    ['what is left over', ['NN.']],
  ] as const)('that have %s are damaged', (_, parts) => {
    expect(() => readTorchPickle(pickle(...PROTO, ...parts), 'the file')).toThrow(/is damaged/);
  });

  it('of another protocol or an older PyTorch are refused', async () => {
    expect(() => readTorchPickle(pickle(0x80, 4, 'N.'), 'the file')).toThrow(/another protocol/);
    await expect(open(pickle(0x80, 2, 'N.'))).rejects.toMatchObject({ code: 'unsupported_feature' });
  });

  it('that end early or have a byte changed anywhere never come through as something else', async () => {
    for (const bytes of [HEAD, PATCH]) {
      for (let length = 0; length < bytes.length; length += 1 + Math.floor(bytes.length / 40)) {
        await expect(open(bytes.slice(0, length))).rejects.toMatchObject(refused);
      }
    }
    for (let at = 0; at < HEAD.length; at += 7) {
      const changed = HEAD.slice();
      changed[at] = (changed[at] ?? 0) ^ 0xff;
      try {
        const tensors = await open(changed);
        for (const name of tensors.names()) await tensors.read(name);
      } catch (thrown) {
        expect(thrown, `byte ${at}`).toMatchObject(refused);
      }
    }
  });

  it('that say they unpack to more than a deflate stream can are refused before they are unpacked', async () => {
    const bomb = HEAD.slice();
    const view = new DataView(bomb.buffer);
    for (let at = 0; at + 46 < bomb.length; at++) {
      if (view.getUint32(at, true) === 0x02014b50) view.setUint32(at + 24, 0xfffffff0, true);
    }
    const [first] = (await openZip(new Blob([bomb]), 'the file')).values();
    await expect(first?.read()).rejects.toThrow(/size/);
    await expect(open(bomb)).rejects.toThrow(/too long/);
  });
});
