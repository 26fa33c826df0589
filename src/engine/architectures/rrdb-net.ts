import { product } from '#engine/graph/dimension.ts';
import { Graph, type BuiltGraph, type Value } from '#engine/graph/graph.ts';
import { conv2d, pixelUnshuffle } from '#engine/graph/layers.ts';
import { add, concat, leakyRelu, scale, upsampleNearest } from '#engine/graph/operators.ts';
import { AppError } from '#protocol/error.ts';
import type { BuildOptions } from './build-options.ts';
import { ConfigReader, type ConfigJson } from './config.ts';

export interface RrdbNetOptions extends BuildOptions {
  /** Fixed sides of the input in pixels, divided by `pixel_unshuffle`; those left out stay open. */
  size?: { batch?: number; height?: number; width?: number };
}

/**
 * BasicSR's RRDBNet: ESRGAN and Real-ESRGAN upscalers. Input `image` float32 [batch, 3, height, width] in 0 … 1,
 * output `upscaled` [batch, 3, scale·height, scale·width]. The network doubles as often as it has convolutions for it;
 * where that is more than `scale`, sides are multiples of the difference (`pixel_unshuffle`), and height and width count
 * those. The configuration's keys are the constructor's: `num_in_ch`, `num_out_ch`, `scale`, and `num_feat`, `num_block`,
 * `num_grow_ch`, which the weights tell where it does not.
 * Source: XPixelGroup/BasicSR, basicsr/archs/rrdbnet_arch.py.
 *
 * @throws AppError `unsupported_feature` for scales that the network's doublings cannot make
 */
export function buildRrdbNet(json: ConfigJson, options: RrdbNetOptions): BuiltGraph {
  const config = new ConfigReader(json, 'RRDBNet');
  const factor = config.number('scale', 4);
  const graph = new Graph({ ...options, winograd: false, name: 'upscaler' });
  const doublings: string[] = [];
  while (graph.weights.has(`conv_up${doublings.length + 1}.weight`)) {
    doublings.push(`conv_up${doublings.length + 1}`);
  }
  // Smaller scales first fold pixels into channels.
  const folded = 2 ** doublings.length / factor;
  if (folded !== 1 && folded !== 2 && folded !== 4) throw config.unsupported('scale');
  const features = config.number('num_feat', graph.weights.info('conv_first.weight').shape[0] ?? 64);
  const growth = config.number('num_grow_ch', graph.weights.info('body.0.rdb1.conv1.weight').shape[0] ?? 32);
  const channels = config.number('num_in_ch', 3);
  const { batch = 'batch', height = 'height', width = 'width' } = options.size ?? {};
  const image = graph.input('image', 'float32', [
    batch,
    channels,
    product([folded, height]),
    product([folded, width]),
  ]);

  const first = conv2d(graph, folded === 1 ? image : pixelUnshuffle(graph, image, folded), 'conv_first', {
    out: features,
  });
  let body = first;
  let blocks = 0;
  for (; graph.weights.has(`body.${blocks}.rdb1.conv1.weight`); blocks++) {
    body = residualInResidual(graph, body, `body.${blocks}`, { features, growth });
  }
  if (blocks !== config.number('num_block', blocks)) {
    throw new AppError(
      'invalid_request',
      `RRDBNet: num_block must be ${blocks}, the number of blocks in the weights.`,
    );
  }
  let hidden = add(graph, first, conv2d(graph, body, 'conv_body', { out: features }));
  for (const name of doublings) {
    hidden = leakyRelu(graph, conv2d(graph, upsampleNearest(graph, hidden, 2), name, { out: features }), 0.2);
  }
  hidden = leakyRelu(graph, conv2d(graph, hidden, 'conv_hr', { out: features }), 0.2);
  graph.output('upscaled', conv2d(graph, hidden, 'conv_last', { out: config.number('num_out_ch', 3) }));
  return graph.build();
}

/** Three dense blocks around a shortcut. Their outputs count a fifth, as in the paper (arXiv 1809.00219). */
function residualInResidual(
  graph: Graph,
  input: Value,
  name: string,
  sizes: { features: number; growth: number },
): Value {
  const body = [1, 2, 3].reduce(
    (hidden, index) => denseBlock(graph, hidden, `${name}.rdb${index}`, sizes),
    input,
  );
  return add(graph, scale(graph, body, 0.2), input);
}

/** Five convolutions, each of which sees everything before it. */
function denseBlock(
  graph: Graph,
  input: Value,
  name: string,
  { features, growth }: { features: number; growth: number },
): Value {
  let seen = input;
  for (const index of [1, 2, 3, 4]) {
    const grown = leakyRelu(graph, conv2d(graph, seen, `${name}.conv${index}`, { out: growth }), 0.2);
    seen = concat(graph, [seen, grown], 1);
  }
  return add(graph, scale(graph, conv2d(graph, seen, `${name}.conv5`, { out: features }), 0.2), input);
}
