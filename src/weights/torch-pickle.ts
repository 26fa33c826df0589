import { AppError } from '#protocol/error.ts';
import type { TensorType } from './tensor-source.ts';

/** What PyTorch's classes of storages hold. */
const STORAGES: Readonly<Record<string, TensorType>> = {
  DoubleStorage: 'float64',
  FloatStorage: 'float32',
  HalfStorage: 'float16',
  BFloat16Storage: 'bfloat16',
  LongStorage: 'int64',
  IntStorage: 'int32',
  ShortStorage: 'int16',
  CharStorage: 'int8',
  ByteStorage: 'uint8',
  BoolStorage: 'bool',
};

/** A tensor as a pickle describes it; its numbers are in a file of its own. */
export interface PickledTensor {
  kind: 'tensor';
  type: TensorType;
  /** The name of the file with its storage. */
  storage: string;
  /** Elements of the whole storage. */
  storageCount: number;
  /** Elements before its first one. */
  start: number;
  shape: readonly number[];
  strides: readonly number[];
}

/** What a file of weights is made of. Dictionaries have texts as keys. */
export type PickledValue =
  | null
  | boolean
  | number
  | string
  | PickledTensor
  | readonly PickledValue[]
  | ReadonlyMap<string, PickledValue>;

/** Something that pickles name, and storages, which are only on the stack. */
type Item =
  | PickledValue
  | { kind: 'global'; name: string }
  | { kind: 'storage'; key: string; type: TensorType; count: number }
  | Map<string, PickledValue>
  | PickledValue[];

const ORDERED_DICT = 'collections.OrderedDict';
const REBUILD_TENSOR = 'torch._utils._rebuild_tensor_v2';
const REBUILD_PARAMETER = 'torch._utils._rebuild_parameter';

/** All that may be named. Nothing of it is run: they are words of a file format here. */
const GLOBALS = new Set([
  ORDERED_DICT,
  REBUILD_TENSOR,
  REBUILD_PARAMETER,
  ...Object.keys(STORAGES).map((name) => `torch.${name}`),
]);

/** More than any pickle of tensors' names: that of a model with thousands of tensors has hundreds of kilobytes. */
export const MOST_PICKLE_BYTES = 16 * 1024 * 1024;

/**
 * Reads the pickle of a `torch.save` file: dictionaries, lists and tuples of tensors and plain values, as protocol 2 writes them
 * (PEP 307; CPython Lib/pickletools.py; PyTorch, torch/_weights_only_unpickler.py). Nothing is run or imported: what is no
 * part of a state dict is refused, by its name.
 *
 * @param file what errors call the file
 * @throws AppError `unsupported_feature` for pickles of anything else, `integrity_failed` for damaged ones
 */
export function readTorchPickle(bytes: Uint8Array<ArrayBuffer>, file: string): PickledValue {
  const damaged = () =>
    new AppError('integrity_failed', `${file} is damaged: its list of tensors cannot be read.`, {
      detail: { file },
    });
  const foreign = (what: string) =>
    new AppError(
      'unsupported_feature',
      `${file} cannot be used: it contains ${what}, which weights have no need of. Use a file that has nothing but weights.`,
      { detail: { file } },
    );
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const stack: Item[] = [];
  const marks: number[] = [];
  const memo = new Map<number, Item>();
  let at = 0;

  /** The place of the next so many bytes. */
  const take = (count: number): number => {
    const start = at;
    at += count;
    if (at > bytes.length) throw damaged();
    return start;
  };
  const textOf = (length: number): string => {
    const start = take(length);
    return new TextDecoder().decode(bytes.subarray(start, start + length));
  };
  const line = (): string => {
    const end = bytes.indexOf(0x0a, at);
    if (end < 0) throw damaged();
    const text = textOf(end - at);
    take(1);
    return text;
  };
  const pop = (): Item => {
    const item = stack.pop();
    if (item === undefined || (marks.at(-1) ?? 0) > stack.length) throw damaged();
    return item;
  };
  const popMarked = (): Item[] => {
    const mark = marks.pop();
    if (mark === undefined) throw damaged();
    return stack.splice(mark);
  };
  const top = (): Item => {
    const item = stack.at(-1);
    if (item === undefined) throw damaged();
    return item;
  };
  const value = (item: Item): PickledValue => {
    if (isValue(item)) return item;
    throw foreign(item.kind === 'global' ? `“${item.name}”` : 'a storage without a tensor');
  };
  const tuple = (items: readonly Item[]) => stack.push(Object.freeze(items) as readonly PickledValue[]);
  const remember = (key: number) => memo.set(key, top());
  const recall = (key: number) => {
    const item = memo.get(key);
    if (item === undefined) throw damaged();
    stack.push(item);
  };
  const setItems = (target: Item, items: readonly Item[]) => {
    if (!(target instanceof Map) || items.length % 2 !== 0) throw damaged();
    for (let i = 0; i < items.length; i += 2) {
      const key = items[i];
      if (typeof key !== 'string') throw foreign('a dictionary without names');
      target.set(key, value(items[i + 1] ?? null));
    }
  };
  const append = (target: Item, items: readonly Item[]) => {
    if (!Array.isArray(target) || Object.isFrozen(target)) throw damaged();
    for (const item of items) target.push(value(item));
  };

  function reduce(callee: Item, args: Item): Item {
    if (!isGlobal(callee) || !Array.isArray(args)) throw damaged();
    const [first, start, shape, strides] = args as Item[];
    if (callee.name === ORDERED_DICT && args.length === 0) return new Map<string, PickledValue>();
    if (callee.name === REBUILD_PARAMETER && isTensor(first)) return first;
    const isWhole = typeof start === 'number' && isSizes(shape) && isSizes(strides);
    if (callee.name === REBUILD_TENSOR && isStorage(first) && isWhole) {
      const { type, key, count } = first;
      return { kind: 'tensor', type, storage: key, storageCount: count, start, shape, strides };
    }
    throw foreign(`a call of “${callee.name}” of another kind`);
  }

  function storageOf(id: Item): Item {
    const [kind, type, key, , count] = Array.isArray(id) ? (id as Item[]) : [];
    const element = isGlobal(type) ? STORAGES[type.name.replace(/^torch\./, '')] : undefined;
    if (kind !== 'storage' || !element || typeof key !== 'string' || typeof count !== 'number') {
      throw foreign('something that is no storage');
    }
    return { kind: 'storage', key, type: element, count };
  }

  function global(): Item {
    const name = `${line()}.${line()}`;
    if (!GLOBALS.has(name)) throw foreign(`“${name}”`);
    return { kind: 'global', name };
  }

  function long(): number {
    const count = view.getUint8(take(1));
    let number = 0n;
    const start = take(count);
    for (let i = count - 1; i >= 0; i--) number = (number << 8n) | BigInt(bytes[start + i] ?? 0);
    const signed = Number(BigInt.asIntN(8 * count, number));
    if (!Number.isSafeInteger(signed)) throw damaged();
    return signed;
  }

  /** What each opcode does, by its byte. */
  const opcodes: Readonly<Record<number, () => unknown>> = {
    0x80: () => view.getUint8(take(1)) === 2 || refuseProtocol(),
    [code('}')]: () => stack.push(new Map<string, PickledValue>()),
    [code(']')]: () => stack.push([] as PickledValue[]),
    [code(')')]: () => tuple([]),
    [code('(')]: () => marks.push(stack.length),
    [code('q')]: () => remember(view.getUint8(take(1))),
    [code('r')]: () => remember(view.getUint32(take(4), true)),
    [code('h')]: () => recall(view.getUint8(take(1))),
    [code('j')]: () => recall(view.getUint32(take(4), true)),
    [code('X')]: () => stack.push(textOf(view.getUint32(take(4), true))),
    [code('K')]: () => stack.push(view.getUint8(take(1))),
    [code('M')]: () => stack.push(view.getUint16(take(2), true)),
    [code('J')]: () => stack.push(view.getInt32(take(4), true)),
    0x8a: () => stack.push(long()),
    [code('G')]: () => stack.push(view.getFloat64(take(8))),
    [code('N')]: () => stack.push(null),
    0x88: () => stack.push(true),
    0x89: () => stack.push(false),
    [code('c')]: () => stack.push(global()),
    [code('t')]: () => tuple(popMarked()),
    0x85: () => tuple([pop()]),
    0x86: () => tuple([pop(), pop()].reverse()),
    0x87: () => tuple([pop(), pop(), pop()].reverse()),
    [code('Q')]: () => stack.push(storageOf(pop())),
    [code('R')]: () => {
      const args = pop();
      stack.push(reduce(pop(), args));
    },
    [code('s')]: () => {
      const pair = [pop(), pop()].reverse();
      setItems(top(), pair);
    },
    [code('u')]: () => {
      const items = popMarked();
      setItems(top(), items);
    },
    [code('a')]: () => {
      const item = pop();
      append(top(), [item]);
    },
    [code('e')]: () => {
      const items = popMarked();
      append(top(), items);
    },
    // Attributes of a state dict (`_metadata`: versions of modules) say nothing of its tensors.
    [code('b')]: () => {
      pop();
      if (!(top() instanceof Map)) throw foreign('an object with attributes');
    },
  };

  function refuseProtocol(): never {
    throw foreign('a pickle of another protocol');
  }

  for (;;) {
    const opcode = view.getUint8(take(1));
    if (opcode === code('.')) {
      const result = value(pop());
      if (stack.length > 0 || marks.length > 0) throw damaged();
      return result;
    }
    const run = opcodes[opcode];
    if (!run) throw foreign(`an instruction of pickles (0x${opcode.toString(16)})`);
    run();
  }
}

function code(letter: string): number {
  return letter.charCodeAt(0);
}

function isGlobal(item: Item | undefined): item is Extract<Item, { kind: 'global' }> {
  return hasKind(item) && item.kind === 'global';
}

function isStorage(item: Item | undefined): item is Extract<Item, { kind: 'storage' }> {
  return hasKind(item) && item.kind === 'storage';
}

/** Whether a value of a pickle is a tensor. */
export function isTensor(item: Item | undefined): item is PickledTensor {
  return hasKind(item) && item.kind === 'tensor';
}

function isValue(item: Item): item is PickledValue {
  return !isGlobal(item) && !isStorage(item);
}

function hasKind(item: Item | undefined): item is Extract<Item, { kind: unknown }> {
  return typeof item === 'object' && item !== null && 'kind' in item;
}

function isSizes(item: Item | undefined): item is readonly number[] {
  return Array.isArray(item) && item.every((size) => Number.isSafeInteger(size) && Number(size) >= 0);
}
