import type { NetworkName } from '#engine/architectures/index.ts';
import type { Runtime, Session } from '#engine/runtime/runtime.ts';
import { AppError } from '#protocol/error.ts';
import { sumBytes, type ModelPack } from '#protocol/model.ts';
import { openGraphFile } from './graph-file.ts';
import type { Networks } from './networks.ts';
import type { PackFiles } from './pack-files.ts';

/** Inputs the engine knows how to feed. A network's only input may have any name. */
const KNOWN_INPUTS: readonly string[] = [
  'sample',
  'timestep',
  'encoder_hidden_states',
  'text_embeds',
  'time_ids',
  'timestep_cond',
];

/**
 * The networks of a pipeline in ONNX files, as diffusers exports lie on the Hugging Face hub: a folder for each with its
 * graph, and its weights within the graph or in files beside it.
 */
export function exportedNetworks(pack: ModelPack, files: PackFiles, runtime: Runtime): Networks {
  /** `model.onnx`, or what a folder has in its place. */
  const graphOf = (name: NetworkName) => {
    const graphs = files.list(name).filter(({ path }) => path.endsWith('.onnx'));
    return graphs.find(({ path }) => path === `${name}/model.onnx`) ?? graphs[0];
  };

  return {
    tokenTables: [],
    has: (name) => graphOf(name) !== undefined,
    split: () => undefined,
    matchLora(lora) {
      throw new AppError(
        'invalid_request',
        `${pack.title} cannot use LoRAs: its graphs are fixed. Remove ${lora.name} from the prompt, or choose another checkpoint.`,
      );
    },
    prepare(name) {
      const graph = graphOf(name);
      const bytes = sumBytes(pack.files.filter(({ path }) => path.startsWith(`${name}/`)));
      return {
        key: `${pack.id}/${name}`,
        bytes,
        async open() {
          const path = graph?.path ?? `${name}/model.onnx`;
          return checkInputs(pack, name, await openGraphFile(runtime, files, path, bytes));
        },
      };
    },
  };
}

/**
 * @throws AppError `unsupported_feature` naming the inputs that nothing could be given for, and for UNets that only run on
 *   several rows at once
 */
async function checkInputs(pack: ModelPack, name: NetworkName, session: Session): Promise<Session> {
  const { inputNames } = session;
  const unknown = inputNames.length === 1 ? [] : inputNames.filter((input) => !KNOWN_INPUTS.includes(input));
  const rows = inputNames.includes('sample') ? session.inputDims('sample')[0] : undefined;
  const isFixed = typeof rows === 'number' && rows > 1;
  if (unknown.length === 0 && !isFixed) return session;
  await session.release();
  const problem = isFixed
    ? `only runs on batches of ${String(rows)}`
    : `wants inputs that this engine cannot give it: ${unknown.join(', ')}`;
  throw new AppError('unsupported_feature', `The ${name} of ${pack.title} ${problem}.`, {
    detail: { model: pack.id },
  });
}
