import { AppError } from '#protocol/error.ts';

/**
 * One side of a tensor: a number, or a symbol such as `height` that is known when the graph runs. Products are
 * written with their factors in order (`2*height`, `height*width`), halves as `ceil(height/2)`, so that equal
 * dimensions are equal strings.
 */
export type Dimension = number | string;

export type Shape = readonly Dimension[];

/** The product in its one spelling. */
export function product(dimensions: Shape): Dimension {
  let coefficient = 1;
  const symbols: string[] = [];
  for (const dimension of dimensions) {
    for (const factor of String(dimension).split('*')) {
      const number = Number(factor);
      if (Number.isInteger(number)) coefficient *= number;
      else symbols.push(factor);
    }
  }
  if (symbols.length === 0) return coefficient;
  symbols.sort();
  return coefficient === 1 ? symbols.join('*') : [coefficient, ...symbols].join('*');
}

/** The sum; with a symbol in it a symbol of its own. */
export function sum(a: Dimension, b: Dimension): Dimension {
  if (typeof a === 'number' && typeof b === 'number') return a + b;
  if (a === 0) return b;
  if (b === 0) return a;
  return `${a}_plus_${b}`.replaceAll(/\W/g, '_');
}

/** Half of it, rounded up: what a convolution of stride 2 that keeps its borders leaves. */
export function halve(dimension: Dimension): Dimension {
  if (typeof dimension === 'number') return Math.ceil(dimension / 2);
  const [coefficient, symbols] = splitCoefficient(dimension);
  if (coefficient % 2 === 0) return product([coefficient / 2, symbols]);
  const half = /^ceil\((\w+)\/(\d+)\)$/.exec(dimension);
  if (half) return `ceil(${half[1] ?? ''}/${Number(half[2]) * 2})`;
  if (/^\w+$/.test(dimension)) return `ceil(${dimension}/2)`;
  throw new AppError('internal', `Half of ${dimension} cannot be expressed.`);
}

/** The dimension divided by a number that divides it. */
export function divide(dimension: Dimension, divisor: number): Dimension {
  if (divisor === 1) return dimension;
  if (typeof dimension === 'number' && dimension % divisor === 0) return dimension / divisor;
  const [coefficient, symbols] = splitCoefficient(String(dimension));
  if (typeof dimension === 'string' && coefficient % divisor === 0)
    return product([coefficient / divisor, symbols]);
  throw new AppError('internal', `${dimension} cannot be divided by ${divisor}.`);
}

/**
 * The number a dimension is when its symbols are these.
 * @throws AppError `internal` for an unknown symbol
 */
export function evaluate(dimension: Dimension, symbols: Readonly<Record<string, number>>): number {
  return String(dimension)
    .split('*')
    .map((factor) => {
      const [, symbol = factor, divisor = '1'] = /^ceil\((\w+)\/(\d+)\)$/.exec(factor) ?? [];
      const value = /^\d+$/.test(symbol) ? Number(symbol) : symbols[symbol];
      if (value === undefined) throw new AppError('internal', `The size of ${dimension} is not known.`);
      return Math.ceil(value / Number(divisor));
    })
    .reduce((product, factor) => product * factor, 1);
}

/** Sides of an element-wise operation: equal, or one of them 1. Undefined where they do not fit. */
export function broadcast(a: Shape, b: Shape): Shape | undefined {
  const rank = Math.max(a.length, b.length);
  const result: Dimension[] = [];
  for (let axis = 0; axis < rank; axis++) {
    const left = a[axis - rank + a.length] ?? 1;
    const right = b[axis - rank + b.length] ?? 1;
    if (left !== right && left !== 1 && right !== 1) return undefined;
    result.push(left === 1 ? right : left);
  }
  return result;
}

/** Whether two shapes are side by side the same. */
export function sameShape(a: Shape, b: Shape): boolean {
  return a.length === b.length && a.every((dimension, axis) => dimension === b[axis]);
}

/** `[batch, 4, height, width]`, for messages. */
export function describeShape(shape: Shape): string {
  return `[${shape.join(', ')}]`;
}

function splitCoefficient(dimension: string): [number, string] {
  const found = /^(\d+)\*(.+)$/.exec(dimension);
  return found ? [Number(found[1]), found[2] ?? ''] : [1, dimension];
}
