import { AppError } from '#protocol/error.ts';
import type { Machine } from './execute.ts';
import { blendLatents, clampLatents, measureNorm, thresholdLatents } from './latent-math.ts';
import {
  INIT_LATENTS,
  UNIT_NOISE,
  type BlendInstruction,
  type DenoiseInstruction,
  type NormInstruction,
  type Register,
  type Term,
} from './program.ts';

/** What a {@link CpuMachine} works with. Arrays are batches, image after image. */
export interface CpuMachineOptions {
  /** Images in the batch. */
  images: number;
  /** The unit noise the run starts from. */
  noise: Float32Array;
  /** Clean latents, for image-to-image. */
  init?: Float32Array;
  /** For programs that blend: of every number, 1 where it is generated again … 0 where it stays. */
  mask?: Float32Array;
  /** Replaces a linear blend, at a level. */
  blendAt?: ((inside: Float32Array, outside: Float32Array, level: number) => Float32Array) | undefined;
  /**
   * The network with guidance. `input` is already scaled and is reused for the next call; the outputs are
   * kept as registers.
   */
  denoise(input: Float32Array, instruction: DenoiseInstruction): Promise<DenoiserOutput> | DenoiserOutput;
  nextNoise(): Float32Array;
  /** Needed by samplers that follow a Brownian path only. */
  brownian?(sigmaFrom: number, sigmaTo: number): Float32Array;
  show?(latents: Float32Array, step: number): void | Promise<void>;
}

export interface DenoiserOutput {
  guided: Float32Array;
  /** Where the instruction asks for it. */
  unconditional?: Float32Array;
}

/** Registers as typed arrays. Sums are formed in float64 and stored in float32. */
export class CpuMachine implements Machine {
  readonly #options: CpuMachineOptions;
  readonly #length: number;
  readonly #registers = new Map<Register, Float32Array>();
  readonly #input: Float32Array;

  constructor(options: CpuMachineOptions) {
    this.#options = options;
    this.#length = options.noise.length;
    this.#input = new Float32Array(this.#length);
    this.#store(UNIT_NOISE, options.noise);
    if (options.init) this.#store(INIT_LATENTS, options.init);
  }

  /** A register's numbers, not copied. @throws AppError `internal` when it holds nothing */
  read(register: Register): Float32Array {
    const values = this.#registers.get(register);
    if (!values) throw new AppError('internal', `Register "${register}" holds nothing yet.`);
    return values;
  }

  has(register: Register): boolean {
    return this.#registers.has(register);
  }

  async denoise(instruction: DenoiseInstruction): Promise<void> {
    weigh(this.#input, [instruction.inputScale], [this.read(instruction.from)]);
    const output = await this.#options.denoise(this.#input, instruction);
    this.#store(instruction.to, output.guided);
    if (instruction.unconditionalTo === undefined) return;
    if (!output.unconditional) throw new AppError('internal', 'The output without guidance is missing.');
    this.#store(instruction.unconditionalTo, output.unconditional);
  }

  combine(to: Register, terms: readonly Term[]): void {
    weigh(
      this.#writable(to),
      terms.map(([weight]) => weight),
      terms.map(([, register]) => this.read(register)),
    );
  }

  blend({ to, inside, outside, level }: BlendInstruction): void {
    const { mask, blendAt } = this.#options;
    if (!mask) throw new AppError('internal', 'This run has no mask.');
    if (blendAt && level !== undefined)
      this.#store(to, blendAt(this.read(inside), this.read(outside), level));
    else blendLatents(this.#writable(to), mask, this.read(inside), this.read(outside));
  }

  noise(to: Register): void {
    this.#store(to, this.#options.nextNoise());
  }

  brownian(to: Register, sigmaFrom: number, sigmaTo: number): void {
    if (!this.#options.brownian) throw new AppError('internal', 'This run has no Brownian path.');
    this.#store(to, this.#options.brownian(sigmaFrom, sigmaTo));
  }

  clamp(register: Register, limit: number): void {
    clampLatents(this.#writable(register), limit);
  }

  threshold(register: Register, ratio: number, maximum: number): void {
    thresholdLatents(this.#writable(register), this.#options.images, ratio, maximum);
  }

  norm({ register, tolerance }: NormInstruction): number {
    const bounds = tolerance?.of.map((bound) => this.read(bound)) ?? [];
    return measureNorm(this.read(register), bounds, this.#options.images, tolerance);
  }

  async show(register: Register, step: number): Promise<void> {
    await this.#options.show?.(this.read(register), step);
  }

  #store(register: Register, values: Float32Array): void {
    if (values.length !== this.#length) {
      throw new AppError(
        'internal',
        `Register "${register}" takes ${this.#length} numbers, not ${values.length}.`,
      );
    }
    this.#registers.set(register, values);
  }

  /** The register's own array, made if it has none. */
  #writable(register: Register): Float32Array {
    let values = this.#registers.get(register);
    if (!values) {
      values = new Float32Array(this.#length);
      this.#registers.set(register, values);
    }
    return values;
  }
}

/** `to[i] = Σ weights[k] · from[k][i]`; `to` may be one of the sources. */
function weigh(to: Float32Array, weights: readonly number[], from: readonly Float32Array[]): void {
  for (let i = 0; i < to.length; i++) {
    let sum = 0;
    for (let k = 0; k < weights.length; k++) sum += (weights[k] ?? 0) * (from[k]?.[i] ?? 0);
    to[i] = sum;
  }
}
