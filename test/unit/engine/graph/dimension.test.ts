import { describe, expect, test } from 'vitest';
import { broadcast, divide, halve, product, sum } from '#engine/graph/dimension.ts';

describe('dimensions', () => {
  test('have one spelling for a product', () => {
    expect(product(['width', 2, 'height', 4])).toBe('8*height*width');
    expect(product([product(['height', 'width']), 'batch'])).toBe(
      product(['batch', product(['width', 'height'])]),
    );
    expect(product([3, 4])).toBe(12);
    expect(product([])).toBe(1);
  });

  test('halve upwards, numbers and symbols alike', () => {
    expect([9, 5, 3, 2, 1].map(halve)).toEqual([5, 3, 2, 1, 1]);
    expect(halve('8*height')).toBe('4*height');
    expect(halve('2*height')).toBe('height');
    expect(halve('height')).toBe('ceil(height/2)');
    expect(halve(halve('height'))).toBe('ceil(height/4)');
    expect(() => halve('height*width')).toThrow('height*width');
  });

  test('divide exactly or not at all', () => {
    expect(divide('16*height', 4)).toBe('4*height');
    expect(divide(12, 4)).toBe(3);
    expect(() => divide('height', 2)).toThrow('cannot be divided');
    expect(() => divide(3, 2)).toThrow('cannot be divided');
  });

  test('add up to symbols of their own', () => {
    expect(sum(2, 3)).toBe(5);
    expect(sum(0, 'height')).toBe('height');
    expect(sum('2*height', 1)).toBe('2_height_plus_1');
  });

  test('broadcast as ONNX does', () => {
    expect(broadcast(['batch', 4, 'height', 'width'], [4, 1, 1])).toEqual(['batch', 4, 'height', 'width']);
    expect(broadcast([1, 5], ['batch', 1])).toEqual(['batch', 5]);
    expect(broadcast(['height'], ['width'])).toBeUndefined();
  });
});
