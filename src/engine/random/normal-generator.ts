/** A seeded source of normally distributed numbers. Each call continues where the last one stopped. */
export interface NormalGenerator {
  /** `count` float32 numbers with mean 0 and variance 1. */
  randn(count: number): Float32Array;
}
