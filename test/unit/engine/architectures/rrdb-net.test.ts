import { expect, test } from 'vitest';
import { buildRrdbNet } from '#engine/architectures/rrdb-net.ts';
import { openGraph } from '../../../support/onnx-session.ts';
import { pseudoRandom, randomTensors, tensorsOf } from '../../../support/random-weights.ts';
import { relativeError } from '../../../support/relative-error.ts';
import { openCheckpoint } from '#weights/checkpoint.ts';
import { inferConfig } from '#weights/infer-config.ts';
import { trunkNames, tinyUpscalerShapes } from '../../../support/tiny-upscaler.ts';

interface Image {
  planes: Float32Array[];
  side: number;
}

/** The network by its definition, in plain loops, for square images. */
class Reference {
  constructor(readonly tensors: ReturnType<typeof randomTensors>) {}

  conv({ planes, side }: Image, name: string): Image {
    const weight = this.tensors[`${name}.weight`];
    const bias = this.tensors[`${name}.bias`];
    const out = Array.from({ length: weight?.shape[0] ?? 0 }, (_, o) =>
      Float32Array.from({ length: side * side }, (_, i) => {
        let sum = bias?.data[o] ?? NaN;
        planes.forEach((plane, channel) => {
          for (let k = 0; k < 9; k++) {
            const y = Math.floor(i / side) + Math.floor(k / 3) - 1;
            const x = (i % side) + (k % 3) - 1;
            if (y < 0 || x < 0 || y >= side || x >= side) continue;
            sum +=
              (plane[y * side + x] ?? NaN) * (weight?.data[(o * planes.length + channel) * 9 + k] ?? NaN);
          }
        });
        return sum;
      }),
    );
    return { planes: out, side };
  }

  run(image: Image): Image {
    const first = this.conv(image, 'conv_first');
    let body = first;
    for (const block of [0, 1]) {
      let inner = body;
      for (const dense of [1, 2, 3]) {
        let seen = inner;
        for (const index of [1, 2, 3, 4]) {
          const grown = leaky(this.conv(seen, `body.${block}.rdb${dense}.conv${index}`));
          seen = { ...seen, planes: [...seen.planes, ...grown.planes] };
        }
        inner = sum(inner, this.conv(seen, `body.${block}.rdb${dense}.conv5`), 0.2);
      }
      body = sum(body, inner, 0.2);
    }
    let hidden = sum(first, this.conv(body, 'conv_body'), 1);
    const ups = ['conv_up1', 'conv_up2', 'conv_up3'].filter((name) => `${name}.weight` in this.tensors);
    for (const name of ups) hidden = leaky(this.conv(doubled(hidden), name));
    return this.conv(leaky(this.conv(hidden, 'conv_hr')), 'conv_last');
  }
}

const leaky = ({ planes, side }: Image): Image => ({
  planes: planes.map((plane) => plane.map((value) => (value < 0 ? 0.2 * value : value))),
  side,
});

const sum = (a: Image, b: Image, factor: number): Image => ({
  planes: a.planes.map((plane, c) => plane.map((value, i) => value + factor * (b.planes[c]?.[i] ?? NaN))),
  side: a.side,
});

const doubled = ({ planes, side }: Image): Image => ({
  planes: planes.map((plane) =>
    Float32Array.from({ length: 4 * side * side }, (_, i) => {
      const [y, x] = [Math.floor(i / (2 * side)), i % (2 * side)];
      return plane[Math.floor(y / 2) * side + Math.floor(x / 2)] ?? NaN;
    }),
  ),
  side: 2 * side,
});

/** Every `factor`-th pixel, as pixel_unshuffle orders the planes. */
function folded({ planes, side }: Image, factor: number): Image {
  const small = side / factor;
  const parts = planes.flatMap((plane) =>
    Array.from({ length: factor ** 2 }, (_, part) =>
      Float32Array.from({ length: small * small }, (_, i) => {
        const y = Math.floor(i / small) * factor + Math.floor(part / factor);
        const x = (i % small) * factor + (part % factor);
        return plane[y * side + x] ?? NaN;
      }),
    ),
  );
  return { planes: parts, side: small };
}

test.each([4, 2, 1] as const)('upscales %d times, as the definition says', async (scale) => {
  const factor = 4 / scale;
  const tensors = randomTensors(tinyUpscalerShapes(scale));
  const weights = tensorsOf(tensors);
  const graph = buildRrdbNet({ scale }, { weights });
  expect(graph.unused).toEqual([]);
  const side = 8;
  const image = pseudoRandom(3 * side * side);
  const session = await openGraph(graph, weights, {});
  const { upscaled } = await session.run({ image: { data: image, shape: [1, 3, side, side] } });
  await session.release();

  const planes = [0, 1, 2].map((c) => image.slice(c * side * side, (c + 1) * side * side));
  const expected = new Reference(tensors).run(folded({ planes, side }, factor));
  expect(upscaled?.shape).toEqual([1, 3, scale * side, scale * side]);
  const flat = Float32Array.from(expected.planes.flatMap((plane) => [...plane]));
  expect(relativeError(upscaled?.data ?? new Float32Array(), flat)).toBeLessThan(1e-5);
});

/** A network that doubles as often as it upscales, as those before Real-ESRGAN. */
function shapesOf(doublings: number): Record<string, number[]> {
  const others = Object.entries(tinyUpscalerShapes(4)).filter(([name]) => !name.startsWith('conv_up'));
  const ups = Array.from({ length: doublings }, (_, index) => `conv_up${index + 1}`);
  return Object.fromEntries([
    ...others,
    ...ups.flatMap((name): [string, number[]][] => [
      [`${name}.weight`, [4, 4, 3, 3]],
      [`${name}.bias`, [4]],
    ]),
  ]);
}

test.each([
  [1, 0],
  [2, 1],
  [8, 3],
] as const)(
  'upscales %d times by %d doublings, under names of the layout before',
  async (scale, doublings) => {
    const tensors = randomTensors(shapesOf(doublings));
    const file = tensorsOf(
      Object.fromEntries(Object.entries(tensors).map(([name, tensor]) => [trunkNames(name), tensor])),
    );
    const { components, leftOver } = openCheckpoint(file);
    const weights = components.get('upscaler');
    if (!weights) throw new Error('It is not known as an upscaler.');
    expect(leftOver).toEqual([]);
    const config = inferConfig('upscaler', weights);
    expect(config).toMatchObject({ scale, pixel_unshuffle: 1 });
    const graph = buildRrdbNet(config, { weights });
    const side = 4;
    const image = pseudoRandom(3 * side * side);
    const session = await openGraph(graph, weights, {});
    const { upscaled } = await session.run({ image: { data: image, shape: [1, 3, side, side] } });
    await session.release();
    const planes = [0, 1, 2].map((c) => image.slice(c * side * side, (c + 1) * side * side));
    const expected = new Reference(tensors).run({ planes, side });
    const flat = Float32Array.from(expected.planes.flatMap((plane) => [...plane]));
    expect(relativeError(upscaled?.data ?? new Float32Array(), flat)).toBeLessThan(1e-5);
  },
);

test('refuses other scales and other numbers of blocks', () => {
  const weights = tensorsOf(randomTensors(tinyUpscalerShapes(4)));
  expect(() => buildRrdbNet({ scale: 8 }, { weights })).toThrow(
    expect.objectContaining({ code: 'unsupported_feature', detail: { key: 'scale' } }),
  );
  expect(() => buildRrdbNet({ num_block: 23 }, { weights })).toThrow('num_block must be 2');
});
