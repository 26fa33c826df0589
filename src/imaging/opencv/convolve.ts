import type { FloatPixels, Pixels } from '#imaging/pixels.ts';

/** Filters along the rows or columns; the border is reflected without the edge (BORDER_REFLECT_101). */
export function convolve(
  { width, height, channels, data }: Pixels | FloatPixels,
  result: Float32Array,
  kernel: readonly number[],
  along: 'rows' | 'columns',
): void {
  const length = along === 'rows' ? width : height;
  const step = along === 'rows' ? channels : width * channels;
  const lines = along === 'rows' ? height : width;
  const lineStep = along === 'rows' ? width * channels : channels;
  const radius = (kernel.length - 1) / 2;
  const padded = Int32Array.from(
    { length: length + 2 * radius },
    (_, i) => reflect(i - radius, length) * step,
  );
  for (let line = 0; line < lines; line++) {
    for (let channel = 0; channel < channels; channel++) {
      const start = line * lineStep + channel;
      for (let i = 0; i < length; i++) {
        let sum = 0;
        for (let tap = 0; tap < kernel.length; tap++) {
          sum += (kernel[tap] ?? 0) * (data[start + (padded[i + tap] ?? 0)] ?? 0);
        }
        result[start + i * step] = sum;
      }
    }
  }
}

/** The position inside 0…length − 1 that a position outside mirrors, the first and last not repeated. */
export function reflect(position: number, length: number): number {
  if (length === 1) return 0;
  let inside = position;
  while (inside < 0 || inside >= length) inside = inside < 0 ? -inside : 2 * (length - 1) - inside;
  return inside;
}
