import type { NetworkName } from '#engine/architectures/index.ts';
import type { ExternalData, Runtime, Session } from '#engine/runtime/runtime.ts';
import { foldsWeights } from '#weights/folding.ts';
import { AppError } from '#protocol/error.ts';
import { sumBytes, type ModelPack } from '#protocol/model.ts';
import type { Networks } from './networks.ts';
import type { PackFiles } from './pack-files.ts';

/** Inputs the engine knows how to feed. Networks with one input take it whatever it is called. */
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
  /** Files that hold weights: whatever is in the folder and no graph or text. */
  const weightsOf = (name: NetworkName) =>
    files.list(name).filter(({ path }) => !/\.(?:onnx|json|txt|md)$/.test(path));

  return {
    tokenTables: [],
    has: (name) => graphOf(name) !== undefined,
    prepare(name) {
      const graph = graphOf(name);
      const weights = weightsOf(name);
      const bytes = sumBytes([...weights, ...(graph ? [graph] : [])]);
      return {
        key: `${pack.id}/${name}`,
        bytes,
        async open() {
          const model = await files.read(graph?.path ?? `${name}/model.onnx`);
          const externalData: ExternalData[] = [];
          for (const { path } of weights) {
            externalData.push({ path: path.slice(name.length + 1), data: await files.read(path) });
          }
          const session = await runtime.createSession(new Uint8Array(await model.arrayBuffer()), {
            externalData,
            foldWeights: foldsWeights(bytes),
          });
          return checkInputs(pack, name, session);
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
