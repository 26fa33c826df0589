import fc from 'fast-check';
import { expect, test } from 'vitest';
import { addProduct, type Matrix, transpose } from '#weights/low-rank.ts';

const matrix = (rows: number, columns: number) =>
  fc
    .array(fc.integer({ min: -9, max: 9 }), { minLength: rows * columns, maxLength: rows * columns })
    .map((values): Matrix => ({ values: Float32Array.from(values), rows, columns }));

test('a product of any size is that of the definition', () => {
  const size = fc.integer({ min: 1, max: 9 });
  const pair = fc
    .tuple(size, size, size)
    .chain(([rows, rank, columns]) => fc.tuple(matrix(rows, rank), matrix(rank, columns)));
  fc.assert(
    fc.property(pair, ([left, right]) => {
      const target = new Float32Array(left.rows * right.columns).fill(1);
      addProduct(target, left, right, 2);
      const columns = transpose(right);
      const expected = Array.from(target, (_, i) => {
        const row = Math.floor(i / right.columns);
        const column = i % right.columns;
        let sum = 0;
        for (let r = 0; r < left.columns; r++) {
          sum +=
            (left.values[row * left.columns + r] ?? NaN) * (columns.values[column * right.rows + r] ?? NaN);
        }
        return 1 + 2 * sum;
      });
      expect([...target]).toEqual(expected);
    }),
  );
});
