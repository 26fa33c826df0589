/** What makes a share in 0 … 1 of a score: 1 / (1 + e^(−x)). */
export const sigmoid = (x: number): number => 1 / (1 + Math.exp(-x));
