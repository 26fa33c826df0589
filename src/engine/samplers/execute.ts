import { AppError } from '#protocol/error.ts';
import {
  INIT_LATENTS,
  RESULT,
  UNIT_NOISE,
  type BlendInstruction,
  type DenoiseInstruction,
  type Instruction,
  type NormInstruction,
  type Register,
  type SamplerProgram,
  type Term,
} from './program.ts';

/**
 * Where the latents live and how arithmetic is done on them: typed arrays, or GPU buffers. A register holds a
 * whole batch. Every method may be asynchronous; the executor awaits each before the next.
 */
export interface Machine {
  has(register: Register): boolean;
  denoise(instruction: DenoiseInstruction): void | Promise<void>;
  combine(to: Register, terms: readonly Term[]): void | Promise<void>;
  blend(instruction: BlendInstruction): void | Promise<void>;
  /** The next draw of the job's noise stream. */
  noise(to: Register): void | Promise<void>;
  /** The Brownian path's increment between two noise levels, scaled to variance 1. */
  brownian(to: Register, sigmaFrom: number, sigmaTo: number): void | Promise<void>;
  clamp(register: Register, limit: number): void | Promise<void>;
  /**
   * Dynamic thresholding of each image separately: s is the `ratio` quantile of its magnitudes, at least 1 and
   * at most `maximum`; values are clamped to ±s and divided by s (Saharia et al. 2022).
   */
  threshold(register: Register, ratio: number, maximum: number): void | Promise<void>;
  /**
   * Root mean square of an image, weighed by the tolerance if there is one. A batch answers with the mean of its images' values, so programs that ask
   * are exact, and independent of the batch, only when images run one at a time.
   */
  norm(instruction: NormInstruction): number | Promise<number>;
  /** A step has ended and this register is the current estimate of the clean latents. */
  show(register: Register, step: number): void | Promise<void>;
}

/** What the caller of {@link execute} can decide while a program runs. */
export interface ExecutionHooks {
  /** Asked before every run of the network and after every step; true ends the run. */
  stopped(): boolean;
}

/**
 * Carries out a sampler program on a machine, which must hold the registers the program starts from.
 * @returns whether the program ran to its end; if not, the machine holds unfinished latents
 * @throws AppError `internal` when the program reads a register that was never written or writes a reserved one,
 *   and what the machine throws
 */
export async function execute(
  program: SamplerProgram,
  machine: Machine,
  hooks?: ExecutionHooks,
): Promise<boolean> {
  let answer: number | undefined;
  for (;;) {
    const { done, value: instruction } = program.next(answer);
    if (done) break;
    checkRegisters(instruction, machine);
    if (instruction.op === 'denoise' && hooks?.stopped()) return abandon(program);
    answer = await carryOut(instruction, machine);
    if (instruction.op === 'show' && hooks?.stopped()) return abandon(program);
  }
  if (!machine.has(RESULT)) throw new AppError('internal', 'The sampler program left no result.');
  return true;
}

function abandon(program: SamplerProgram): false {
  program.return();
  return false;
}

async function carryOut(instruction: Instruction, machine: Machine): Promise<number | undefined> {
  switch (instruction.op) {
    case 'denoise':
      await machine.denoise(instruction);
      return undefined;
    case 'combine':
      await machine.combine(instruction.to, instruction.terms);
      return undefined;
    case 'blend':
      await machine.blend(instruction);
      return undefined;
    case 'noise':
      await machine.noise(instruction.to);
      return undefined;
    case 'brownian':
      await machine.brownian(instruction.to, instruction.sigmaFrom, instruction.sigmaTo);
      return undefined;
    case 'clamp':
      await machine.clamp(instruction.register, instruction.limit);
      return undefined;
    case 'threshold':
      await machine.threshold(instruction.register, instruction.ratio, instruction.maximum);
      return undefined;
    case 'norm':
      return machine.norm(instruction);
    case 'show':
      await machine.show(instruction.register, instruction.step);
      return undefined;
  }
}

function checkRegisters(instruction: Instruction, machine: Machine): void {
  for (const register of reads(instruction)) {
    if (!machine.has(register)) {
      throw new AppError(
        'internal',
        `The sampler program reads register "${register}", which holds nothing yet.`,
      );
    }
  }
  for (const register of writes(instruction)) {
    if (register === UNIT_NOISE || register === INIT_LATENTS) {
      throw new AppError('internal', `The sampler program writes the reserved register "${register}".`);
    }
  }
}

function reads(instruction: Instruction): readonly Register[] {
  switch (instruction.op) {
    case 'denoise':
      return [instruction.from];
    case 'combine':
      return instruction.terms.map(([, register]) => register);
    case 'blend':
      return [instruction.inside, instruction.outside];
    case 'noise':
    case 'brownian':
      return [];
    case 'norm':
      return [instruction.register, ...(instruction.tolerance?.of ?? [])];
    default:
      return [instruction.register];
  }
}

function writes(instruction: Instruction): readonly Register[] {
  switch (instruction.op) {
    case 'denoise':
      return instruction.unconditionalTo === undefined
        ? [instruction.to]
        : [instruction.to, instruction.unconditionalTo];
    case 'combine':
    case 'blend':
    case 'noise':
    case 'brownian':
      return [instruction.to];
    case 'clamp':
    case 'threshold':
      return [instruction.register];
    default:
      return [];
  }
}
