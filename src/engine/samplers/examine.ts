import { AppError } from '#protocol/error.ts';
import type { SamplerProgram } from './program.ts';

/** What a sampler program does, found out by running it without a machine. */
export interface ProgramFacts {
  /** The timestep given to the network at each of its evaluations. */
  timesteps: number[];
  /** How often the program shows its estimate. */
  steps: number;
  /** The first evaluation of each step, counted from 0. */
  firstCalls: number[];
  /** Whether it draws no noise of its own. */
  deterministic: boolean;
  /** Whether it follows a Brownian path. */
  brownian: boolean;
  /** Whether its course depends on the latents, so that a batch is exact only image by image. */
  adaptive: boolean;
}

/**
 * Runs a program to its end with every `norm` answered by 1/2, an ordinary error of an adaptive step. The program
 * is used up.
 * @throws AppError `unsupported_feature` when a weight is not a finite number: the noise schedule asks for what
 *   the sampler's formulas cannot give
 */
export function examineProgram(program: SamplerProgram): ProgramFacts {
  const facts: ProgramFacts = {
    timesteps: [],
    steps: 0,
    firstCalls: [0],
    deterministic: true,
    brownian: false,
    adaptive: false,
  };
  let answer: number | undefined;
  for (;;) {
    const { done, value: instruction } = program.next(answer);
    if (done) return facts;
    answer = undefined;
    switch (instruction.op) {
      case 'denoise':
        requireFinite(instruction.inputScale, instruction.timestep);
        facts.timesteps.push(instruction.timestep);
        break;
      case 'combine':
        for (const [weight] of instruction.terms) requireFinite(weight);
        break;
      case 'noise':
        facts.deterministic = false;
        break;
      case 'brownian':
        facts.deterministic = false;
        facts.brownian = true;
        break;
      case 'norm':
        facts.adaptive = true;
        answer = 0.5;
        break;
      case 'show':
        facts.steps++;
        facts.firstCalls.push(facts.timesteps.length);
        break;
      default:
    }
  }
}

function requireFinite(...values: readonly number[]): void {
  if (values.every(Number.isFinite)) return;
  throw new AppError(
    'unsupported_feature',
    "This sampler's formulas have no finite values for the model's prediction type and noise schedule. Choose another sampler.",
  );
}
