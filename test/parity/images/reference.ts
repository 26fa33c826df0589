import { dirname } from 'node:path';
import { decode } from 'fast-png';
import type { Channels, Pixels } from '#imaging/pixels.ts';
import type { Planes } from '#imaging/planes.ts';
import { toAppError } from '#protocol/error.ts';
import { relativeError } from '../../support/relative-error.ts';
import type { ParityCase } from '../case.ts';
import { hasKind, openReferences, type ImageCase, type ImageReferences } from './image-kind.ts';

export type { ImageCase } from './image-kind.ts';

/** Compares one case of a kind. */
export type CaseRunner<Case extends ImageCase> = (
  reference: Case,
  files: CaseFiles,
) => AsyncIterable<Check> | Iterable<Check> | Promise<readonly Check[]>;

/** Runs all cases of a kind that a folder has; none where it has not the kind. */
export type KindRunner = (folder: string) => Promise<ParityCase[]>;

/** One comparison within a case. */
export interface Check {
  /** What was compared. */
  label: string;
  error: number;
  tolerance: number;
}

/** Numbers of a reference with their shape. */
export interface ReferenceTensor {
  shape: readonly number[];
  data: Float32Array;
}

/** The files of one case. */
export interface CaseFiles {
  input(label: string): Pixels;
  image(label: string): Pixels;
  tensor(label: string): Promise<ReferenceTensor>;
}

/** A runner of every case in `<folder>/<kind>/cases.json`. A case fails by its worst check. */
export function kindRunner<Case extends ImageCase>(kind: string, run: CaseRunner<Case>): KindRunner {
  return async (folder) => {
    const root = dirname(folder);
    if (!hasKind(root, kind)) return [];
    const references = openReferences<Case>(root, kind);
    const results: ParityCase[] = [];
    for (const reference of references.cases) {
      const name = `${kind}/${reference.id}`;
      try {
        const checks: Check[] = [];
        const files = openFiles(references, reference);
        for await (const check of await run(reference, files)) checks.push(check);
        results.push(worst(name, checks));
      } catch (thrown) {
        const note = toAppError(thrown).message;
        results.push({ name, error: Infinity, tolerance: 1, supported: true, note });
      }
    }
    return results;
  };
}

/** The check that misses its tolerance most, as a multiple of the tolerance. */
function worst(name: string, checks: readonly Check[]): ParityCase {
  if (checks.length === 0) throw new Error('The case compares nothing.');
  const ratio = ({ error, tolerance }: Check) =>
    error <= tolerance ? error / (tolerance || 1) : Math.max(error / tolerance, 1.01);
  const [first] = [...checks].sort((a, b) => ratio(b) - ratio(a));
  const error = first ? ratio(first) : Infinity;
  const note = first && error > 1 ? `${first.label}: ${first.error} of ${first.tolerance}` : undefined;
  return { name, error, tolerance: 1, supported: true, ...(note !== undefined && { note }) };
}

function openFiles(references: ImageReferences, { inputs, images, tensors }: ImageCase): CaseFiles {
  return {
    input: (label) => readPixels(references.bytes(named(inputs, label))),
    image: (label) => readPixels(references.file(named(images, label))),
    async tensor(label) {
      const name = named(tensors, label);
      return { shape: await references.shape(name), data: await references.tensor(name) };
    },
  };
}

function named(names: Readonly<Record<string, string>> | undefined, label: string): string {
  const name = names?.[label];
  if (name === undefined) throw new Error(`The case has no "${label}".`);
  return name;
}

/** A PNG of 8 bits with the channels it has: grey stays grey. */
function readPixels(png: Uint8Array): Pixels {
  const { width, height, channels, data, depth } = decode(png);
  if (depth !== 8 || channels === 2) throw new Error('The image is not grey, RGB or RGBA of 8 bits.');
  return { width, height, channels: channels as Channels, data: Uint8ClampedArray.from(data) };
}

/** Compares images; the error is the largest difference of a sample, infinite where the shapes differ. */
export function checkPixels(label: string, actual: Pixels, expected: Pixels, tolerance: number): Check {
  return { label, error: largestDifference(actual, expected), tolerance };
}

/** Compares images, allowing a share of the samples to differ by more than `by`. */
export function checkMostPixels(
  label: string,
  actual: Pixels,
  expected: Pixels,
  { by, share }: { by: number; share: number },
): Check {
  if (!sameShape(actual, expected)) return { label, error: Infinity, tolerance: share };
  const { channels } = expected;
  let beyond = 0;
  for (let pixel = 0; pixel < expected.data.length; pixel += channels) {
    let off = false;
    for (let i = pixel; i < pixel + channels; i++) {
      off ||= Math.abs((actual.data[i] ?? NaN) - (expected.data[i] ?? NaN)) > by;
    }
    if (off) beyond += 1;
  }
  return { label, error: beyond / (expected.width * expected.height), tolerance: share };
}

function largestDifference(actual: Pixels, expected: Pixels): number {
  if (!sameShape(actual, expected)) return Infinity;
  let largest = 0;
  for (let i = 0; i < expected.data.length; i++) {
    largest = Math.max(largest, Math.abs((actual.data[i] ?? NaN) - (expected.data[i] ?? NaN)));
  }
  return largest;
}

function sameShape(actual: Pixels, expected: Pixels): boolean {
  return (
    actual.width === expected.width &&
    actual.height === expected.height &&
    actual.channels === expected.channels &&
    actual.data.length === expected.data.length
  );
}

/** Compares values of JSON, floats to 1e-9 relative; the error counts what differs. */
export function checkValues(label: string, actual: unknown, expected: unknown): Check {
  return { label, error: countDifferences(actual, expected), tolerance: 0 };
}

function countDifferences(actual: unknown, expected: unknown): number {
  if (typeof expected === 'number' && typeof actual === 'number') {
    return Math.abs(actual - expected) <= 1e-9 * Math.abs(expected) ? 0 : 1;
  }
  if (Array.isArray(expected)) {
    if (!Array.isArray(actual) || actual.length !== expected.length) return 1;
    return expected.reduce((sum: number, value, i) => sum + countDifferences(actual[i], value), 0);
  }
  if (expected !== null && typeof expected === 'object') {
    if (actual === null || typeof actual !== 'object') return 1;
    const keys = new Set([...Object.keys(expected), ...Object.keys(actual)]);
    return [...keys].reduce(
      (sum, key) =>
        sum +
        countDifferences(
          (actual as Record<string, unknown>)[key],
          (expected as Record<string, unknown>)[key],
        ),
      0,
    );
  }
  return actual === expected ? 0 : 1;
}

/** Checks that something is refused where the reference raises an error. */
export function checkRefuses(label: string, run: () => unknown): Check {
  try {
    run();
    return { label, error: 1, tolerance: 0 };
  } catch {
    return { label, error: 0, tolerance: 0 };
  }
}

/** A tensor as planes, those of a batch after one another. */
export function planesOf({ shape, data }: ReferenceTensor): Planes {
  const [height = 1, width = 1] = shape.slice(-2);
  return { channels: data.length / (height * width), height, width, data };
}

/** Compares planes with a tensor; the error is relative to the tensor's largest number. */
export function checkTensor(
  label: string,
  actual: Float32Array,
  expected: ReferenceTensor,
  tolerance = 1e-4,
): Check {
  return { label, error: relativeError(actual, expected.data), tolerance };
}
