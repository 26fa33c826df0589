import type { Session, TensorValue } from '#engine/runtime/runtime.ts';
import type { LowRankFactors } from '#weights/adapters.ts';
import { AppError } from '#protocol/error.ts';
import type { PreparedNetwork } from './networks.ts';

/** LoRAs as a UNet built with `loraInputs` takes them. */
export interface LoraCombination {
  /** The same for the same LoRAs and strengths; empty for none. */
  key: string;
  /** Their factors, by module. */
  read: () => Promise<ReadonlyMap<string, LowRankFactors>>;
}

/** Inputs of a graph that are the same in each run. */
type GivenInputs = Readonly<Record<string, TensorValue>>;

/** What an open UNet with such inputs is given. */
interface LoraInputs {
  given(combination: LoraCombination): Promise<GivenInputs>;
  release(): void;
}

const openInputs = new WeakMap<Session, LoraInputs>();

/**
 * A UNet built with `loraInputs` as a UNet with LoRAs, or with none: one session, opened once, serves every combination.
 * Factors are read when they change, and are kept on the device until other LoRAs are requested.
 *
 * @param device what the network runs on; null where it takes arrays
 */
export function giveLoras(
  network: PreparedNetwork,
  combination: LoraCombination,
  device: GPUDevice | null,
): PreparedNetwork {
  return {
    ...network,
    async open() {
      const session = await network.open();
      const inputs = createLoraInputs(session, device);
      const opened: Session = {
        ...session,
        async release() {
          inputs.release();
          await session.release();
        },
      };
      openInputs.set(opened, inputs);
      return opened;
    },
    async adapt(session) {
      const inputs = openInputs.get(session);
      if (!inputs) throw new AppError('internal', 'The UNet was opened without inputs for LoRAs.');
      return withInputs(session, await inputs.given(combination));
    },
  };
}

function createLoraInputs(session: Session, device: GPUDevice | null): LoraInputs {
  const zeros: Record<string, TensorValue> = {};
  for (const name of session.inputNames) {
    if (!/\.lora_(?:down|up)$/.test(name)) continue;
    // Ranks are open: the least there is.
    const dims = session.inputDims(name).map((side) => (typeof side === 'number' ? side : 1));
    zeros[name] = toInput(new Float32Array(dims.reduce((product, side) => product * side, 1)), dims);
  }
  let latest: { key: string; inputs: GivenInputs } | undefined;

  function toInput(data: Float32Array, dims: readonly number[]): TensorValue {
    if (!device) return { type: 'float32', data, dims };
    const buffer = device.createBuffer({
      size: data.byteLength,
      usage: GPUBufferUsage.STORAGE | GPUBufferUsage.COPY_SRC | GPUBufferUsage.COPY_DST,
      mappedAtCreation: true,
    });
    new Float32Array(buffer.getMappedRange()).set(data);
    buffer.unmap();
    return { type: 'float32', buffer, dims };
  }

  function freeLatest(): void {
    free(latest?.inputs ?? {});
    latest = undefined;
  }

  return {
    async given({ key, read }) {
      // The factors stay for the next job that has them.
      if (key === '') return zeros;
      if (latest?.key !== key) {
        freeLatest();
        const inputs: Record<string, TensorValue> = {};
        for (const [module, factors] of await read()) {
          for (const side of ['down', 'up'] as const) {
            const name = `${module}.lora_${side}`;
            // What is left of a UNet between two runs of the whole (deep-cache.ts) has not all modules.
            if (!zeros[name]) continue;
            const { values, rows, columns } = factors[side];
            inputs[name] = toInput(values, [rows, columns]);
          }
        }
        latest = { key, inputs };
      }
      return { ...zeros, ...latest.inputs };
    },
    release() {
      free(zeros);
      freeLatest();
    },
  };
}

function free(inputs: GivenInputs): void {
  for (const input of Object.values(inputs)) if ('buffer' in input) input.buffer.destroy();
}

/** The session with some inputs given once for all runs. */
function withInputs(session: Session, given: GivenInputs): Session {
  return {
    ...session,
    inputNames: session.inputNames.filter((name) => !(name in given)),
    run: (inputs) => session.run({ ...inputs, ...given }),
    runInto: (inputs, outputs) => session.runInto({ ...inputs, ...given }, outputs),
  };
}
