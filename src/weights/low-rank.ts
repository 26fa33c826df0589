/** A matrix, row by row. */
export interface Matrix {
  values: Float32Array;
  rows: number;
  columns: number;
}

/**
 * `target += factor · left · right`, with sums in double precision. Two rows and four ranks at a time, so that each
 * number loaded is used more than once: merging a LoRA is hardly anything but this loop.
 */
export function addProduct(target: Float32Array, left: Matrix, right: Matrix, factor: number): void {
  const { columns } = right;
  // Zeros beyond the matrix, so that its sides need not be multiples of two and four.
  const b = new Float64Array(Math.ceil(left.columns / 4) * 4 * columns);
  b.set(right.values);
  const sums = new Float64Array(columns);
  const sumsBelow = new Float64Array(columns);
  const coefficient = (row: number, r: number): number =>
    row < left.rows && r < left.columns ? factor * (left.values[row * left.columns + r] ?? 0) : 0;

  for (let row = 0; row < left.rows; row += 2) {
    sums.fill(0);
    sumsBelow.fill(0);
    for (let r = 0; r < left.columns; r += 4) {
      const a0 = coefficient(row, r);
      const a1 = coefficient(row, r + 1);
      const a2 = coefficient(row, r + 2);
      const a3 = coefficient(row, r + 3);
      const c0 = coefficient(row + 1, r);
      const c1 = coefficient(row + 1, r + 1);
      const c2 = coefficient(row + 1, r + 2);
      const c3 = coefficient(row + 1, r + 3);
      const start = r * columns;
      for (let i = 0; i < columns; i++) {
        const b0 = b[start + i] ?? 0;
        const b1 = b[start + columns + i] ?? 0;
        const b2 = b[start + 2 * columns + i] ?? 0;
        const b3 = b[start + 3 * columns + i] ?? 0;
        sums[i] = (sums[i] ?? 0) + a0 * b0 + a1 * b1 + a2 * b2 + a3 * b3;
        sumsBelow[i] = (sumsBelow[i] ?? 0) + c0 * b0 + c1 * b1 + c2 * b2 + c3 * b3;
      }
    }
    addRow(target, row * columns, sums);
    if (row + 1 < left.rows) addRow(target, (row + 1) * columns, sumsBelow);
  }
}

function addRow(target: Float32Array, start: number, sums: Float64Array): void {
  for (let i = 0; i < sums.length; i++) target[start + i] = (target[start + i] ?? 0) + (sums[i] ?? 0);
}

/** `left · right`. */
export function multiply(left: Matrix, right: Matrix): Matrix {
  const values = new Float32Array(left.rows * right.columns);
  addProduct(values, left, right, 1);
  return { values, rows: left.rows, columns: right.columns };
}

/** The matrix with rows and columns exchanged. */
export function transpose({ values, rows, columns }: Matrix): Matrix {
  const result = new Float32Array(values.length);
  for (let row = 0, i = 0; row < rows; row++) {
    for (let column = 0; column < columns; column++) result[column * rows + row] = values[i++] ?? 0;
  }
  return { values: result, rows: columns, columns: rows };
}

/**
 * `core · right` where the core is a small convolution `[outer, inner, kernel]` and `right` is `[inner, channels]`:
 * a matrix `[outer, channels · kernel]`, laid out as a convolution's weight. The kernel's part of a Tucker
 * decomposition.
 */
export function tuckerProduct(
  core: { values: Float32Array; outer: number; kernel: number },
  right: Matrix,
): Matrix {
  const { outer, kernel } = core;
  const { rows: inner, columns: channels } = right;
  const values = new Float32Array(outer * channels * kernel);
  for (let o = 0; o < outer; o++) {
    for (let i = 0; i < inner; i++) {
      const tap = (o * inner + i) * kernel;
      for (let c = 0, to = o * channels * kernel; c < channels; c++) {
        const weight = right.values[i * channels + c] ?? 0;
        for (let k = 0; k < kernel; k++, to++)
          values[to] = (values[to] ?? 0) + weight * (core.values[tap + k] ?? 0);
      }
    }
  }
  return { values, rows: outer, columns: channels * kernel };
}

/** `target += factor · (a ∘ b)`, element by element. */
export function addHadamardProduct(target: Float32Array, a: Matrix, b: Matrix, factor: number): void {
  for (let i = 0; i < target.length; i++) {
    target[i] = (target[i] ?? 0) + factor * (a.values[i] ?? 0) * (b.values[i] ?? 0);
  }
}

/** `target += factor · (a ⊗ b)`: each number of `a` times the whole of `b`. */
export function addKroneckerProduct(target: Float32Array, a: Matrix, b: Matrix, factor: number): void {
  let to = 0;
  for (let i = 0; i < a.rows; i++) {
    for (let row = 0; row < b.rows; row++) {
      for (let j = 0; j < a.columns; j++) {
        const weight = factor * (a.values[i * a.columns + j] ?? 0);
        for (let column = row * b.columns; column < (row + 1) * b.columns; column++, to++) {
          target[to] = (target[to] ?? 0) + weight * (b.values[column] ?? 0);
        }
      }
    }
  }
}
