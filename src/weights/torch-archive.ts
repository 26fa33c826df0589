import { AppError } from '#protocol/error.ts';
import type { ByteSource } from './safetensors-source.ts';
import { BYTES_PER_ELEMENT, elementCount, type TensorSource } from './tensor-source.ts';
import {
  isTensor,
  MOST_PICKLE_BYTES,
  readTorchPickle,
  type PickledTensor,
  type PickledValue,
} from './torch-pickle.ts';
import { openZip, type ZipFile } from './zip-entries.ts';

/**
 * Opens what `torch.save` wrote of a dictionary of tensors (PyTorch 1.6 and later: a ZIP archive, caffe2/serialize/inline_container.h).
 * Its list of tensors is read now, and their numbers on demand. Where a name has a tuple of tensors, they are `<name>.0`,
 * `<name>.1` …; what else is in it is left out.
 *
 * @param name what errors call the file
 * @throws AppError `unsupported_feature` for older and other files, and for pickles with more than tensors in them;
 *   `integrity_failed` for damaged ones
 */
export async function openTorchArchive(file: ByteSource, name: string): Promise<TensorSource> {
  const first = new Uint8Array(await file.slice(0, 2).arrayBuffer());
  if (first[0] !== 0x50 || first[1] !== 0x4b) {
    throw new AppError(
      'unsupported_feature',
      `${name} cannot be used: it is not a file of PyTorch 1.6 or later.`,
      { detail: { file: name } },
    );
  }
  const refuse = (reason: string) =>
    new AppError('integrity_failed', `${name} is damaged: ${reason}`, { detail: { file: name } });
  const files = await openZip(file, name);
  const [pickle, second] = [...files.keys()].filter((path) => /^[^/]+\/data\.pkl$/.test(path));
  if (pickle === undefined || second !== undefined) throw refuse('it has no list of tensors, or several.');
  const folder = pickle.slice(0, pickle.lastIndexOf('/'));
  const read = (path: string) => files.get(`${folder}/${path}`)?.read();

  const isSmall = ['byteorder', 'data.pkl'].every(
    (path) => (files.get(`${folder}/${path}`)?.sizeBytes ?? 0) <= MOST_PICKLE_BYTES,
  );
  if (!isSmall) throw refuse('its list of tensors is too long.');
  const order = await read('byteorder');
  if (order && new TextDecoder().decode(order) !== 'little') {
    throw new AppError(
      'unsupported_feature',
      `${name} cannot be used: its numbers are in another byte order.`,
    );
  }
  const pickled = await read('data.pkl');
  const tensors = namedTensors(readTorchPickle(pickled ?? new Uint8Array(), name));
  for (const [tensor, described] of tensors) {
    const problem = problemOf(described, files.get(`${folder}/data/${described.storage}`));
    if (problem !== null) throw refuse(`tensor "${tensor}" ${problem}.`);
  }

  return {
    names: () => tensors.keys(),
    info(tensor) {
      const described = tensors.get(tensor);
      return described && { name: tensor, type: described.type, shape: described.shape };
    },
    async read(tensor) {
      const described = tensors.get(tensor);
      const storage = described && (await read(`data/${described.storage}`));
      if (!storage) throw new AppError('not_found', `${name} has no tensor "${tensor}".`);
      const { type, start, shape } = described;
      const [from, length] = [start, elementCount(shape)].map((count) => count * BYTES_PER_ELEMENT[type]);
      return storage.slice(from, (from ?? 0) + (length ?? 0));
    },
  };
}

function namedTensors(root: PickledValue): Map<string, PickledTensor> {
  const found = new Map<string, PickledTensor>();
  for (const [name, value] of isDictionary(root) ? root : []) {
    if (isTensor(value)) found.set(name, value);
    else if (isList(value)) {
      for (const [index, part] of value.entries()) if (isTensor(part)) found.set(`${name}.${index}`, part);
    }
  }
  return found;
}

function isDictionary(value: PickledValue): value is ReadonlyMap<string, PickledValue> {
  return value instanceof Map;
}

function isList(value: PickledValue): value is readonly PickledValue[] {
  return Array.isArray(value);
}

/** What is wrong with where a tensor says it is; null if nothing is. */
function problemOf(tensor: PickledTensor, storage: ZipFile | undefined): string | null {
  const { type, start, shape, strides, storageCount } = tensor;
  const count = elementCount(shape);
  if (storage?.sizeBytes !== storageCount * BYTES_PER_ELEMENT[type]) return 'is not in the file';
  if (start < 0 || start + count > storageCount) return 'is larger than what the file has of it';
  let step = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    const size = shape[axis] ?? 0;
    if (size > 1 && strides[axis] !== step) return 'is not stored in one piece';
    step *= size;
  }
  return strides.length === shape.length ? null : 'has no shape';
}
