/** A matrix, row by row. */
export interface Matrix {
  values: Float32Array;
  rows: number;
  columns: number;
}

/** `target += factor · left · right`. Sums over four ranks at a time, so that the target is passed over less often. */
export function addProduct(target: Float32Array, left: Matrix, right: Matrix, factor: number): void {
  const { columns, values: b } = right;
  const rank = left.columns;
  for (let row = 0; row < left.rows; row++) {
    const out = target.subarray(row * columns, (row + 1) * columns);
    const a = left.values.subarray(row * rank, (row + 1) * rank);
    let r = 0;
    for (; r + 3 < rank; r += 4) {
      const a0 = factor * (a[r] ?? 0);
      const a1 = factor * (a[r + 1] ?? 0);
      const a2 = factor * (a[r + 2] ?? 0);
      const a3 = factor * (a[r + 3] ?? 0);
      const b0 = b.subarray(r * columns, (r + 1) * columns);
      const b1 = b.subarray((r + 1) * columns, (r + 2) * columns);
      const b2 = b.subarray((r + 2) * columns, (r + 3) * columns);
      const b3 = b.subarray((r + 3) * columns, (r + 4) * columns);
      for (let i = 0; i < out.length; i++) {
        out[i] =
          (out[i] ?? 0) + a0 * (b0[i] ?? 0) + a1 * (b1[i] ?? 0) + a2 * (b2[i] ?? 0) + a3 * (b3[i] ?? 0);
      }
    }
    for (; r < rank; r++) {
      const a0 = factor * (a[r] ?? 0);
      const b0 = b.subarray(r * columns, (r + 1) * columns);
      for (let i = 0; i < out.length; i++) out[i] = (out[i] ?? 0) + a0 * (b0[i] ?? 0);
    }
  }
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
