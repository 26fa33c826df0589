/**
 * Solves a small system of linear equations by Gauss's elimination with the largest pivot of each column.
 * @returns zeros where a pivot vanishes, as `cv2.solve` does for a singular matrix
 */
export function solveLinear(matrix: readonly (readonly number[])[], right: readonly number[]): number[] {
  const size = right.length;
  const rows = matrix.map((row, i) => [...row, right[i] ?? 0]);
  for (let column = 0; column < size; column++) {
    const candidates = rows.slice(column);
    const largest = Math.max(...candidates.map((row) => Math.abs(row[column] ?? 0)));
    if (largest < Number.EPSILON) return new Array<number>(size).fill(0);
    const found = column + candidates.findIndex((row) => Math.abs(row[column] ?? 0) === largest);
    const [pivot = []] = rows.splice(found, 1);
    rows.splice(column, 0, pivot);
    for (const row of rows.slice(column + 1)) {
      const factor = (row[column] ?? 0) / (pivot[column] ?? 1);
      for (let i = column; i <= size; i++) row[i] = (row[i] ?? 0) - factor * (pivot[i] ?? 0);
    }
  }
  const solution = new Array<number>(size).fill(0);
  for (let i = size - 1; i >= 0; i--) {
    const row = rows[i] ?? [];
    const known = solution.reduce((sum, value, j) => (j > i ? sum + value * (row[j] ?? 0) : sum), 0);
    solution[i] = ((row[size] ?? 0) - known) / (row[i] ?? 1);
  }
  return solution;
}
