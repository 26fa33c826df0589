/** Complex numbers. */
export interface Complex {
  real: Float64Array;
  imaginary: Float64Array;
}

/**
 * The discrete Fourier transform of a plane of rows and columns, divided by the root of its size so that it keeps lengths;
 * `inverse` is the way back. Any size works; sizes of small factors are fast.
 */
export function transform2d(plane: Complex, rows: number, columns: number, inverse = false): Complex {
  const down = transformColumns(plane, rows, columns, inverse);
  const across = transformColumns(transpose(down, rows, columns), columns, rows, inverse);
  const { real, imaginary } = transpose(across, columns, rows);
  const scale = 1 / Math.sqrt(rows * columns);
  return { real: real.map((value) => value * scale), imaginary: imaginary.map((value) => value * scale) };
}

function transpose({ real, imaginary }: Complex, rows: number, columns: number): Complex {
  const turn = (numbers: Float64Array) => {
    const turned = new Float64Array(numbers.length);
    for (let y = 0; y < rows; y++) {
      for (let x = 0; x < columns; x++) turned[x * rows + y] = numbers[y * columns + x] ?? 0;
    }
    return turned;
  };
  return { real: turn(real), imaginary: turn(imaginary) };
}

/**
 * Transforms every column at once. After each factor the rows hold the transforms of ever longer parts of the columns:
 * row `t + rows / length · i` the number i of the part that begins at row t and takes every `rows / length`th row.
 * Source: Stockham's order of Cooley and Tukey 1965, for any factors.
 */
function transformColumns(plane: Complex, rows: number, columns: number, inverse: boolean): Complex {
  let from = plane;
  let length = 1;
  for (const factor of factorsOf(rows)) {
    const to = { real: new Float64Array(rows * columns), imaginary: new Float64Array(rows * columns) };
    const turn = ((inverse ? 2 : -2) * Math.PI) / (length * factor);
    const block = (rows / (length * factor)) * columns;
    for (let i = 0; i < length * factor; i++) {
      for (let part = 0; part < factor; part++) {
        const start = (part + factor * (i % length)) * block;
        addTurned(
          from,
          to,
          { start, end: start + block, to: i * block },
          turn * ((i * part) % (length * factor)),
        );
      }
    }
    from = to;
    length *= factor;
  }
  return from;
}

/** Adds some of the numbers, turned by an angle, to others. */
function addTurned(
  { real, imaginary }: Complex,
  sum: Complex,
  { start, end, to }: { start: number; end: number; to: number },
  angle: number,
): void {
  const [cosine, sine] = [Math.cos(angle), Math.sin(angle)];
  for (let i = start, k = to; i < end; i++, k++) {
    const [a, b] = [real[i] ?? 0, imaginary[i] ?? 0];
    sum.real[k] = (sum.real[k] ?? 0) + a * cosine - b * sine;
    sum.imaginary[k] = (sum.imaginary[k] ?? 0) + a * sine + b * cosine;
  }
}

function factorsOf(number: number): number[] {
  const factors: number[] = [];
  let rest = number;
  for (let factor = 2; rest > 1; factor++) {
    for (; rest % factor === 0; rest /= factor) factors.push(factor);
  }
  return factors;
}
