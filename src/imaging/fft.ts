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
  const real = plane.real.slice();
  const imaginary = plane.imaginary.slice();
  transformLines({ real, imaginary }, { lines: rows, length: columns, step: 1, lineStep: columns }, inverse);
  transformLines({ real, imaginary }, { lines: columns, length: rows, step: columns, lineStep: 1 }, inverse);
  const scale = 1 / Math.sqrt(rows * columns);
  return { real: real.map((value) => value * scale), imaginary: imaginary.map((value) => value * scale) };
}

interface Lines {
  lines: number;
  length: number;
  /** From a number of a line to the next, and from a line to the next. */
  step: number;
  lineStep: number;
}

function transformLines({ real, imaginary }: Complex, { lines, length, step, lineStep }: Lines, inverse: boolean): void {
  const roots = unitRoots(length, inverse);
  const line: Complex = { real: new Float64Array(length), imaginary: new Float64Array(length) };
  for (let n = 0; n < lines; n++) {
    for (let i = 0; i < length; i++) {
      line.real[i] = real[n * lineStep + i * step] ?? 0;
      line.imaginary[i] = imaginary[n * lineStep + i * step] ?? 0;
    }
    const result = transform(line, { start: 0, step: 1, length }, roots);
    for (let i = 0; i < length; i++) {
      real[n * lineStep + i * step] = result.real[i] ?? 0;
      imaginary[n * lineStep + i * step] = result.imaginary[i] ?? 0;
    }
  }
}

function unitRoots(length: number, inverse: boolean): Complex {
  const turn = ((inverse ? 2 : -2) * Math.PI) / length;
  return {
    real: Float64Array.from({ length }, (_, i) => Math.cos(turn * i)),
    imaginary: Float64Array.from({ length }, (_, i) => Math.sin(turn * i)),
  };
}

/** Some of the numbers of a line: `length` of them from `start`, `step` apart. */
interface Part {
  start: number;
  step: number;
  length: number;
}

/** Source: Cooley and Tukey 1965, for any factors. */
function transform(line: Complex, { start, step, length }: Part, roots: Complex): Complex {
  const result: Complex = { real: new Float64Array(length), imaginary: new Float64Array(length) };
  if (length === 1) {
    result.real[0] = line.real[start] ?? 0;
    result.imaginary[0] = line.imaginary[start] ?? 0;
    return result;
  }
  const factor = smallestFactor(length);
  const rest = length / factor;
  const parts = Array.from({ length: factor }, (_, i) =>
    transform(line, { start: start + i * step, step: step * factor, length: rest }, roots),
  );
  const stride = roots.real.length / length;
  for (let i = 0; i < length; i++) {
    let [real, imaginary] = [0, 0];
    parts.forEach((part, p) => {
      const root = ((i * p) % length) * stride;
      const [a, b] = [part.real[i % rest] ?? 0, part.imaginary[i % rest] ?? 0];
      const [c, d] = [roots.real[root] ?? 0, roots.imaginary[root] ?? 0];
      real += a * c - b * d;
      imaginary += a * d + b * c;
    });
    result.real[i] = real;
    result.imaginary[i] = imaginary;
  }
  return result;
}

function smallestFactor(number: number): number {
  for (let factor = 2; factor * factor <= number; factor++) if (number % factor === 0) return factor;
  return number;
}
