import { resolveExternalFile, type OnnxHeader } from '#codecs/onnx-header.ts';
import type { Listing, SourceFile } from '#library/sources/source-file.ts';
import { countInWords, refusedFinding, toPackFile, type Finding } from './finding.ts';
import { openOnnx } from './onnx-graph.ts';
import { ONNX_KINDS, type OnnxFacts, type OnnxKind } from './onnx-kinds.ts';

/** Memory that a network takes besides its weights, about: three feature maps of 64 channels at 512 × 512. */
const ACTIVATION_BYTES = 3 * 64 * 512 * 512 * 4;

/** Where a repository keeps its graphs. */
const FOLDERS = ['', 'onnx/'];

/** What is at the end of the names of graphs in int8, in the repositories of transformers.js. */
const QUANTISED = '_quantized';

/** The graph of a repository that has one in several precisions. */
const MAIN = 'model';

/** A graph by its place in the pack. */
interface Graph {
  path: string;
  file: SourceFile;
  header: OnnxHeader;
}

/**
 * Recognises ONNX graphs that are a network of their own: a single file, or a repository in the layout of transformers.js.
 * @returns null where there is none of a kind that is known
 * @throws AppError `integrity_failed` for damaged files, `download_failed`
 */
export async function inspectOnnxNetwork(listing: Listing): Promise<Finding | null> {
  const opened = new Map<SourceFile, OnnxHeader>();
  for (const kind of ONNX_KINDS) {
    const files = graphsOf(kind, listing);
    if (!files) continue;
    const graphs: Graph[] = [];
    for (const { path, file } of files) {
      const header = opened.get(file) ?? (await openOnnx(file));
      opened.set(file, header);
      graphs.push({ path, file, header });
    }
    const [first] = graphs;
    if (first && kind.matches(factsOf(first, listing))) return toFinding(kind, graphs, listing);
  }
  return null;
}

function factsOf({ header: { inputs, outputs }, file }: Graph, { title }: Listing): OnnxFacts {
  return { inputs, outputs, title: `${title} ${file.path}`.toLowerCase() };
}

/** The graphs that a kind consists of and their places in a pack; undefined where they are not all there. */
function graphsOf(
  { graphs, prefersQuantised, needs = [] }: OnnxKind,
  listing: Listing,
): { path: string; file: SourceFile }[] | undefined {
  if (needs.some((name) => !findBeside(listing, name))) return undefined;
  if (graphs) {
    for (const ending of prefersQuantised ? [QUANTISED, ''] : ['']) {
      const found = graphs.flatMap((name) => {
        const file = findBeside(listing, `${name}${ending}.onnx`);
        return file ? [{ path: `${name}.onnx`, file }] : [];
      });
      if (found.length === graphs.length) return found;
    }
    return undefined;
  }
  const all = listing.files.filter(({ path }) => path.endsWith('.onnx'));
  const [only, ...more] = all;
  const file = more.length === 0 ? only : findBeside(listing, `${MAIN}.onnx`);
  return file && [{ path: `${MAIN}.onnx`, file }];
}

/** A file of this name at the top or in the folder of graphs. */
function findBeside({ files }: Listing, name: string): SourceFile | undefined {
  return FOLDERS.map((folder) => files.find(({ path }) => path === folder + name)).find(
    (file) => file !== undefined,
  );
}

function toFinding(kind: OnnxKind, graphs: readonly Graph[], listing: Listing): Finding {
  const known = { kind: kind.kind, format: 'onnx', summary: kind.title } as const;
  const files = new Map(graphs.map(({ path, file }) => [path, file]));
  const numbers = new Map<string, number>();
  for (const { file, header } of graphs) {
    for (const [type, count] of header.numbers) numbers.set(type, (numbers.get(type) ?? 0) + count);
    const folder = file.path.slice(0, Math.max(0, file.path.lastIndexOf('/')));
    for (const name of header.externalFiles) {
      const [path, place] = [resolveExternalFile(folder, name), resolveExternalFile('', name)];
      const beside = listing.files.find((other) => other.path === path);
      if (!beside || place === undefined) {
        return refusedFinding(
          `It is incomplete: ${file.path} keeps weights in “${name}”, which is missing.`,
          known,
        );
      }
      files.set(place, beside);
    }
  }
  for (const name of [...(kind.needs ?? []), ...(kind.extras ?? [])]) {
    const file = findBeside(listing, name);
    if (file) files.set(name, file);
  }
  const placed = [...files].map(([path, file]) => ({ path, file }));
  const sizeBytes = placed.reduce((sum, { file }) => sum + file.size, 0);
  const [type = null] = [...numbers].sort(([, a], [, b]) => b - a).map(([name]) => name);
  const parameters = [...numbers.values()].reduce((sum, count) => sum + count, 0);
  const summary = [kind.title, type, `${countInWords(parameters)} parameters`]
    .filter((part) => part !== null)
    .join(', ');
  return {
    offer: {
      ...known,
      summary,
      family: null,
      type,
      parameters: parameters > 0 ? parameters : null,
      prediction: null,
      options: [{ storage: 'exact', sizeBytes, memoryBytes: sizeBytes + ACTIVATION_BYTES }],
      warnings: [],
      problem: null,
    },
    licence: null,
    files: placed,
    draft: () =>
      Promise.resolve({
        kind: kind.kind,
        network: kind.network,
        family: null,
        description: summary,
        files: placed.map(toPackFile),
      }),
  };
}
