import { AppError } from '#protocol/error.ts';
import type { Machine } from './execute.ts';
import type { GpuArithmetic } from './gpu-arithmetic.ts';
import { clampLatents, measureNorm, thresholdLatents } from './latent-math.ts';
import {
  INIT_LATENTS,
  UNIT_NOISE,
  type BlendInstruction,
  type DenoiseInstruction,
  type NormInstruction,
  type Register,
  type Term,
} from './program.ts';

/** What a {@link GpuMachine} works with. Buffers hold batches, image after image. */
export interface GpuMachineOptions {
  arithmetic: GpuArithmetic;
  images: number;
  /** The unit noise the run starts from. */
  noise: Float32Array;
  /** Clean latents, for image-to-image. */
  init?: Float32Array;
  /** For programs that blend: of every number, 1 where it is generated again … 0 where it stays. */
  mask?: Float32Array;
  /** Replaces a linear blend, at a level; on arrays. */
  blendAt?: ((inside: Float32Array, outside: Float32Array, level: number) => Float32Array) | undefined;
  /** The network with guidance: reads `from`, which is not scaled yet, and fills the other buffers. */
  denoise(
    from: GPUBuffer,
    guided: GPUBuffer,
    unconditional: GPUBuffer | null,
    instruction: DenoiseInstruction,
  ): Promise<void>;
  nextNoise(): Float32Array;
  /** Needed by samplers that follow a Brownian path only. */
  brownian?(sigmaFrom: number, sigmaTo: number): Float32Array;
  show?(register: Register, step: number): Promise<void>;
}

/**
 * Registers as GPU buffers: latents stay on the device from the first noise to the VAE. Only what programs ask
 * back (`norm`, and thresholds that need a quantile) is read.
 */
export class GpuMachine implements Machine {
  readonly #options: GpuMachineOptions;
  readonly #length: number;
  readonly #registers = new Map<Register, GPUBuffer>();
  /** Buffers no register uses at the moment. */
  readonly #free: GPUBuffer[] = [];
  readonly #mask: GPUBuffer | null = null;

  constructor(options: GpuMachineOptions) {
    this.#options = options;
    this.#length = options.noise.length;
    this.#fill(UNIT_NOISE, options.noise);
    if (options.init) this.#fill(INIT_LATENTS, options.init);
    if (options.mask) {
      this.#mask = this.#take();
      options.arithmetic.upload(this.#mask, options.mask);
    }
  }

  has(register: Register): boolean {
    return this.#registers.has(register);
  }

  /** A register's buffer; another register may use it after the next instruction. */
  buffer(register: Register): GPUBuffer {
    const buffer = this.#registers.get(register);
    if (!buffer) throw new AppError('internal', `Register "${register}" holds nothing yet.`);
    return buffer;
  }

  /** A copy of a register's numbers. */
  read(register: Register): Promise<Float32Array> {
    return this.#options.arithmetic.download(this.buffer(register), this.#length);
  }

  async denoise(instruction: DenoiseInstruction): Promise<void> {
    const guided = this.#take();
    const unconditional = instruction.unconditionalTo === undefined ? null : this.#take();
    await this.#options.denoise(this.buffer(instruction.from), guided, unconditional, instruction);
    this.#assign(instruction.to, guided);
    if (instruction.unconditionalTo !== undefined && unconditional) {
      this.#assign(instruction.unconditionalTo, unconditional);
    }
  }

  combine(to: Register, terms: readonly Term[]): void {
    // A new buffer each time, since `to` may be among the terms.
    const sum = this.#take();
    const slices = terms.map(([weight, register]) => ({ weight, buffer: this.buffer(register), offset: 0 }));
    this.#options.arithmetic.combine(sum, 0, this.#length, slices);
    this.#assign(to, sum);
  }

  blend(instruction: BlendInstruction): void | Promise<void> {
    const { level } = instruction;
    if (this.#options.blendAt && level !== undefined) return this.#blendAt(instruction, level);
    this.blendByMask(instruction);
  }

  /** A linear blend. */
  blendByMask({ to, inside, outside }: Omit<BlendInstruction, 'op'>): void {
    if (!this.#mask) throw new AppError('internal', 'This run has no mask.');
    const blended = this.#take();
    const sides = [this.buffer(inside), this.buffer(outside)] as const;
    this.#options.arithmetic.blend(blended, this.#length, this.#mask, ...sides);
    this.#assign(to, blended);
  }

  noise(to: Register): void {
    this.#fill(to, this.#options.nextNoise());
  }

  brownian(to: Register, sigmaFrom: number, sigmaTo: number): void {
    if (!this.#options.brownian) throw new AppError('internal', 'This run has no Brownian path.');
    this.#fill(to, this.#options.brownian(sigmaFrom, sigmaTo));
  }

  async clamp(register: Register, limit: number): Promise<void> {
    const values = await this.read(register);
    clampLatents(values, limit);
    this.#fill(register, values);
  }

  async threshold(register: Register, ratio: number, maximum: number): Promise<void> {
    const values = await this.read(register);
    thresholdLatents(values, this.#options.images, ratio, maximum);
    this.#fill(register, values);
  }

  async norm({ register, tolerance }: NormInstruction): Promise<number> {
    const bounds = await Promise.all(tolerance?.of.map((bound) => this.read(bound)) ?? []);
    return measureNorm(await this.read(register), bounds, this.#options.images, tolerance);
  }

  async show(register: Register, step: number): Promise<void> {
    await this.#options.show?.(register, step);
  }

  /** Frees every buffer. */
  close(): void {
    for (const buffer of [...this.#registers.values(), ...this.#free]) buffer.destroy();
    this.#mask?.destroy();
    this.#registers.clear();
    this.#free.length = 0;
  }

  async #blendAt({ to, inside, outside }: BlendInstruction, level: number): Promise<void> {
    const sides = [await this.read(inside), await this.read(outside)] as const;
    const blended = this.#options.blendAt?.(...sides, level);
    if (blended) this.#fill(to, blended);
  }

  #take(): GPUBuffer {
    return this.#free.pop() ?? this.#options.arithmetic.allocate(this.#length);
  }

  #assign(register: Register, buffer: GPUBuffer): void {
    const previous = this.#registers.get(register);
    if (previous) this.#free.push(previous);
    this.#registers.set(register, buffer);
  }

  #fill(register: Register, values: Float32Array): void {
    const buffer = this.#take();
    this.#options.arithmetic.upload(buffer, values);
    this.#assign(register, buffer);
  }
}
