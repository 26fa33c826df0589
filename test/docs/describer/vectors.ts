/** Each row at length 1. */
export function unitRows(rows: readonly Float32Array[]): Float32Array[] {
  return rows.map((row) => {
    const length = Math.hypot(...row);
    return row.map((value) => value / length);
  });
}

/** By how much rows differ from others, on average. */
export function meanShift(from: readonly Float32Array[], to: readonly Float32Array[]): Float32Array {
  const shift = new Float32Array(from[0]?.length ?? 0);
  for (const [index, row] of to.entries()) {
    for (const [i, value] of row.entries())
      shift[i] = (shift[i] ?? 0) + (value - (from[index]?.[i] ?? 0)) / to.length;
  }
  return shift;
}
