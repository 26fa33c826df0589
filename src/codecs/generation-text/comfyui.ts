import type { Infotext } from '#codecs/infotext.ts';
import { isRecord } from '#codecs/json.ts';
import { infotextOf, parseRecord, stemOf, textOf } from './foreign-facts.ts';
import { samplerNames } from './sampler-names.ts';

type Inputs = Readonly<Record<string, unknown>>;

/** The nodes of a graph: their class and what goes into them, links as `[node, output]`. */
type Graph = ReadonlyMap<string, { type: string; inputs: Inputs }>;

/** Inputs with the value that a primitive node passes on. */
const LITERALS = ['value', 'text', 'string', 'seed', 'noise_seed', 'int', 'float', 'number', 'Text', 'Value'];

/**
 * The first pass of a ComfyUI graph in the words of an infotext: the sampler with the most noise, and what its inputs lead to;
 * null where there is none.
 * @param json the text `prompt` of a PNG: nodes by id
 */
export function readComfyUi(json: string | undefined): Infotext | null {
  const graph = readGraph(parseRecord(json));
  const samplers = [...graph.values()].filter(({ type }) => /sampler/i.test(type) && !/select/i.test(type));
  const noise = ({ inputs }: { inputs: Inputs }) => Number(search(graph, inputs, ['denoise']) ?? 1);
  const [first] = samplers.toSorted((one, other) => noise(other) - noise(one));
  if (!first) return null;
  const { inputs } = first;
  const find = (...keys: string[]) => search(graph, inputs, keys);
  const from = (input: string, ...keys: string[]) =>
    search(graph, { [input]: linkOf(graph, inputs, input) }, keys);
  const names = samplerNames(textOf(find('sampler_name')), textOf(find('scheduler')));
  const denoise = find('denoise');
  return infotextOf({
    prompt: search(
      graph,
      { link: linkOf(graph, inputs, 'positive') ?? linkOf(graph, inputs, 'conditioning') },
      ['text', 'text_g', 'prompt', 't5xxl'],
      'negative',
    ),
    negativePrompt: search(
      graph,
      { link: linkOf(graph, inputs, 'negative') },
      ['text', 'text_g', 'prompt'],
      'positive',
    ),
    steps: find('steps'),
    sampler: names.sampler,
    schedule: names.schedule,
    cfgScale: find('cfg'),
    seed: find('seed', 'noise_seed'),
    width: from('latent_image', 'width'),
    height: from('latent_image', 'height'),
    model: stemOf(textOf(from('model', 'ckpt_name', 'unet_name') ?? find('ckpt_name', 'unet_name'))),
    ...(denoise !== 1 && { denoisingStrength: denoise }),
    loras: [...graph.values()]
      .filter(({ type }) => /^LoraLoader/.test(type))
      .map((node) => ({ name: node.inputs['lora_name'], weight: node.inputs['strength_model'] })),
  });
}

function readGraph(record: Record<string, unknown> | null): Graph {
  return new Map(
    Object.entries(record ?? {}).flatMap(([id, node]) =>
      isRecord(node) && isRecord(node['inputs'])
        ? [[id, { type: textOf(node['class_type']), inputs: node['inputs'] }]]
        : [],
    ),
  );
}

/** The inputs of the node that a link leads to. */
function follow(graph: Graph, value: unknown): Inputs | undefined {
  if (!Array.isArray(value) || value.length !== 2) return undefined;
  const id: unknown = value[0];
  return graph.get(textOf(id))?.inputs;
}

/**
 * The value of the nearest input of these names, from the inputs upwards through all links. A link that stands in place of a
 * value leads to the node that has it.
 * @param except an input that is not followed
 */
function search(graph: Graph, start: Inputs, keys: readonly string[], except?: string): unknown {
  for (const inputs of upwards(graph, start, except)) {
    for (const key of keys) {
      const value = inputs[key];
      const node = follow(graph, value);
      const found = node
        ? LITERALS.map((literal) => node[literal]).find((item) => textOf(item) !== '')
        : value;
      if (textOf(found) !== '') return found;
    }
  }
  return undefined;
}

/** The nearest link of an input of this name. */
function linkOf(graph: Graph, start: Inputs, key: string): unknown {
  for (const inputs of upwards(graph, start)) if (follow(graph, inputs[key])) return inputs[key];
  return undefined;
}

/** The inputs, then those of the nodes that they come from, nearest first and each once. */
function* upwards(graph: Graph, start: Inputs, except?: string): Generator<Inputs> {
  const seen = new Set<Inputs>([start]);
  for (const inputs of seen) {
    yield inputs;
    for (const [key, value] of Object.entries(inputs)) {
      const node = key === except ? undefined : follow(graph, value);
      if (node) seen.add(node);
    }
  }
}
