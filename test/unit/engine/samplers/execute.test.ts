import { expect, test } from 'vitest';
import { CpuMachine, type CpuMachineOptions } from '#engine/samplers/cpu-machine.ts';
import { execute } from '#engine/samplers/execute.ts';
import type { Instruction, SamplerProgram } from '#engine/samplers/program.ts';

function* programOf(...instructions: readonly Instruction[]): SamplerProgram {
  yield* instructions;
}

const machineWith = (options: Partial<CpuMachineOptions> = {}) =>
  new CpuMachine({
    images: 1,
    noise: Float32Array.of(1, -2, 3, -4),
    nextNoise: () => Float32Array.of(10, 20, 30, 40),
    denoise: (input) => ({ guided: input.map((value) => value / 2) }),
    ...options,
  });

test('combines registers, also in place', async () => {
  const machine = machineWith();
  await execute(
    programOf(
      { op: 'combine', to: 'x', terms: [[2, 'noise']] },
      { op: 'noise', to: 'fresh' },
      {
        op: 'combine',
        to: 'x',
        terms: [
          [0.5, 'x'],
          [0.1, 'fresh'],
          [1, 'x'],
        ],
      },
    ),
    machine,
  );
  expect([...machine.read('x')]).toEqual([4, -4, 12, -8]);
});

test('no terms make zeros', async () => {
  const machine = machineWith();
  await execute(programOf({ op: 'combine', to: 'x', terms: [] }), machine);
  expect([...machine.read('x')]).toEqual([0, 0, 0, 0]);
});

test('the network sees the scaled latents and its timestep', async () => {
  const seen: number[][] = [];
  const machine = machineWith({
    denoise: (input, { timestep }) => {
      seen.push([timestep, ...input]);
      return { guided: new Float32Array(4), unconditional: Float32Array.of(1, 2, 3, 4) };
    },
  });
  await execute(
    programOf({
      op: 'denoise',
      from: 'noise',
      to: 'x',
      timestep: 7.5,
      inputScale: 2,
      unconditionalTo: 'free',
    }),
    machine,
  );
  expect(seen).toEqual([[7.5, 2, -4, 6, -8]]);
  expect([...machine.read('free')]).toEqual([1, 2, 3, 4]);
});

test('clamps, and thresholds each image by itself', async () => {
  const machine = machineWith({ images: 2, noise: Float32Array.of(0.2, -0.4, 3, -1.5) });
  await execute(
    programOf(
      { op: 'combine', to: 'x', terms: [[1, 'noise']] },
      { op: 'threshold', register: 'x', ratio: 1, maximum: 2 },
      { op: 'combine', to: 'clamped', terms: [[1, 'x']] },
      { op: 'clamp', register: 'clamped', limit: 0.5 },
    ),
    machine,
  );
  // The first image stays within ±1; the second is cut at 2 and divided by it.
  expect([...machine.read('x')]).toEqual([0.2, -0.4, 1, -0.75].map(Math.fround));
  expect([...machine.read('clamped')]).toEqual([0.2, -0.4, 0.5, -0.5].map(Math.fround));
});

test('the norm is the mean of the images’ root mean squares', async () => {
  const answers: (number | undefined)[] = [];
  function* ask(): SamplerProgram {
    answers.push(yield { op: 'norm', register: 'noise' });
    yield { op: 'combine', to: 'x', terms: [[1, 'noise']] };
  }
  await execute(ask(), machineWith({ images: 2, noise: Float32Array.of(3, 3, 1, 1) }));
  expect(answers).toEqual([2]);
});

test.each<[string, Instruction]>([
  ['combine', { op: 'combine', to: 'x', terms: [[1, 'nothing']] }],
  ['denoise', { op: 'denoise', from: 'nothing', to: 'x', timestep: 1, inputScale: 1 }],
  ['clamp', { op: 'clamp', register: 'nothing', limit: 1 }],
  ['norm', { op: 'norm', register: 'nothing' }],
  ['show', { op: 'show', register: 'nothing', step: 1 }],
])('%s of a register that holds nothing is an error', async (_, instruction) => {
  await expect(execute(programOf(instruction), machineWith())).rejects.toThrow(/"nothing"/);
});

test.each(['noise', 'init'])('%s cannot be written', async (register) => {
  await expect(execute(programOf({ op: 'noise', to: register }), machineWith())).rejects.toThrow(/reserved/);
});

test('a program without a result is an error', async () => {
  await expect(execute(programOf({ op: 'noise', to: 'y' }), machineWith())).rejects.toThrow(/no result/);
});

test('stops before the network runs and after a step, and tells', async () => {
  const events: string[] = [];
  const run = async (stopAfter: number) => {
    events.length = 0;
    const machine = machineWith({
      denoise: (input) => {
        events.push('denoise');
        return { guided: input.slice() };
      },
      show: (_, step) => void events.push(`show ${step}`),
    });
    const step = (number: number): Instruction[] => [
      { op: 'denoise', from: 'noise', to: 'x', timestep: 1, inputScale: 1 },
      { op: 'show', register: 'x', step: number },
    ];
    return execute(programOf(...step(1), ...step(2)), machine, { stopped: () => events.length >= stopAfter });
  };
  expect(await run(0)).toBe(false);
  expect(events).toEqual([]);
  expect(await run(2)).toBe(false);
  expect(events).toEqual(['denoise', 'show 1']);
  expect(await run(99)).toBe(true);
});
