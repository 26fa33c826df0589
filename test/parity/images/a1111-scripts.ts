import { INFOTEXT_SAMPLERS } from '#codecs/infotext-samplers.ts';
import {
  combineGrid,
  cutTiles,
  gridShape,
  imageGrid,
  splitGrid,
  type TileGrid,
} from '#imaging/a1111/grid.ts';
import type { MaskedContent } from '#imaging/a1111/img2img.ts';
import { planLoopback, type DenoisingCurve } from '#imaging/a1111/scripts/loopback.ts';
import { planPromptMatrix } from '#imaging/a1111/scripts/prompt-matrix.ts';
import { planSdUpscale } from '#imaging/a1111/scripts/sd-upscale.ts';
import { findXyzAxis } from '#imaging/a1111/scripts/xyz-axes.ts';
import {
  checkXyzValues,
  planXyzPlot,
  xyzReturned,
  type XyzAxisValues,
  type XyzPlot,
  type XyzRequest,
} from '#imaging/a1111/scripts/xyz-plot.ts';
import { readXyzValues } from '#imaging/a1111/scripts/xyz-values.ts';
import { invert } from '#imaging/pillow/convert.ts';
import { filled } from '#imaging/pillow/paste.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { upscalerNamed } from './a1111-images.ts';
import {
  checkPixels,
  checkRefuses,
  checkValues,
  kindRunner,
  type CaseFiles,
  type Check,
  type ImageCase,
  type KindRunner,
} from './reference.ts';

type Pair = [width: number, height: number];

/** The boxes of a grid's tiles as x, y, width, height. */
export function boxesOf({ rows, tile }: TileGrid): number[][][] {
  return rows.map((row) => row.map(({ x, y }) => [x, y, tile.width, tile.height]));
}

interface GridCase extends ImageCase {
  tile: Pair;
  overlap: number;
  tiles_xywh: number[][][];
  combine_error: string | null;
}

function gridChecks(
  { tile, overlap, tiles_xywh: boxes, images, combine_error: failure }: GridCase,
  files: CaseFiles,
): Check[] {
  const image = files.input('image');
  const size = { width: tile[0], height: tile[1] };
  if (failure !== null || image.width < size.width || image.height < size.height) {
    return [checkRefuses('tiles', () => splitGrid(image, size, overlap))];
  }
  const grid = splitGrid(image, size, overlap);
  const columns = grid.rows[0]?.length ?? 1;
  const tiles = cutTiles(image, grid).map((pixels, n) =>
    changed(pixels, Math.floor(n / columns), n % columns),
  );
  const checks = [checkValues('tiles', boxesOf(grid), boxes)];
  if (images?.['combined'] === undefined) return checks;
  return [...checks, checkPixels('combined', combineGrid(grid, tiles), files.image('combined'), 1)];
}

/** The change that tells the tiles apart. */
function changed(pixels: Pixels, row: number, column: number): Pixels {
  const shift = [40 * ((row + column) % 2) - 20, 15 * ((row % 3) - 1), 15 * ((column % 3) - 1)];
  return { ...pixels, data: pixels.data.map((sample, i) => sample + (shift[i % 3] ?? 0)) };
}

interface ImageGridCase extends ImageCase {
  n: number;
  arguments: { rows?: number; batch_size?: number };
  options: { n_rows?: number; grid_prevent_empty_spots?: boolean };
  cell: Pair;
  cols: number;
  rows: number;
}

function imageGridChecks(reference: ImageGridCase, files: CaseFiles): Check[] {
  const { n, options, cell } = reference;
  const shape = gridShape({
    images: n,
    ...(reference.arguments.rows !== undefined && { rows: reference.arguments.rows }),
    ...(reference.arguments.batch_size !== undefined && { batchSize: reference.arguments.batch_size }),
    ...(options.n_rows !== undefined && { nRows: options.n_rows }),
    ...(options.grid_prevent_empty_spots !== undefined && {
      preventEmptySpots: options.grid_prevent_empty_spots,
    }),
  });
  const checks = [checkValues('shape', [shape.columns, shape.rows], [reference.cols, reference.rows])];
  if (reference.images?.['result'] === undefined) return checks;
  const images = Array.from({ length: n }, (_, i) =>
    filled({ width: cell[0], height: cell[1] }, [20 * i + 10, 255 - 20 * i, 100]),
  );
  return [...checks, checkPixels('result', imageGrid(images, shape), files.image('result'), 0)];
}

interface SdUpscaleCase extends ImageCase {
  arguments: {
    overlap: number;
    scale_factor: number;
    upscaler: string;
    width: number;
    height: number;
    batch_size: number;
    n_iter: number;
    seed: number;
  };
  upscaled: Pair;
  tiles_xywh: number[][][];
  calls: { seed: number; tiles: number }[];
  error: string | null;
}

async function sdUpscaleChecks(reference: SdUpscaleCase, files: CaseFiles): Promise<Check[]> {
  const { arguments: given, images } = reference;
  const source = files.input('image');
  const image = (await upscalerNamed(given.upscaler)?.(source, given.scale_factor)) ?? source;
  const request = {
    image,
    tile: { width: given.width, height: given.height },
    overlap: given.overlap,
    seed: given.seed,
    batchSize: given.batch_size,
    count: given.n_iter,
  };
  if (reference.error !== null || image.width < given.width || image.height < given.height) {
    return [checkRefuses('tiles', () => planSdUpscale(request))];
  }
  const plan = planSdUpscale(request);
  const calls = plan.images.flat().map(({ seed, tiles }) => ({ seed, tiles: tiles.length }));
  const combined = combineGrid(
    plan.grid,
    (plan.images[0] ?? []).flatMap(({ tiles }) => tiles.map(invert)),
  );
  return [
    checkValues('upscaled', [image.width, image.height], reference.upscaled),
    checkValues('tiles', boxesOf(plan.grid), reference.tiles_xywh),
    checkValues('calls', calls, reference.calls),
    ...(images?.['result'] === undefined ? [] : [checkPixels('result', combined, files.image('result'), 1)]),
  ];
}

interface LoopbackCase extends ImageCase {
  loops: number;
  denoising_strength: number;
  final_denoising_strength: number;
  denoising_curve: DenoisingCurve;
  n_iter: number;
  calls: { seed: number; denoising_strength: number; inpainting_fill: number; from_original: boolean }[];
  returned_images: number;
}

function loopbackChecks(reference: LoopbackCase): Check[] {
  const contents: readonly MaskedContent[] = ['fill', 'original', 'latent noise', 'latent nothing'];
  const [first] = reference.calls;
  const runs = planLoopback({
    loops: reference.loops,
    batches: reference.n_iter,
    seed: first?.seed ?? 0,
    strength: reference.denoising_strength,
    finalStrength: reference.final_denoising_strength,
    curve: reference.denoising_curve,
    maskedContent: contents[first?.inpainting_fill ?? 0] ?? 'fill',
  });
  const returned = runs.filter((run) => run.returned).length;
  return [
    checkValues(
      'runs',
      runs.map((run) => [run.seed, run.strength, contents.indexOf(run.maskedContent), run.fromInit]),
      reference.calls.map((call) => [
        call.seed,
        call.denoising_strength,
        call.inpainting_fill,
        call.from_original,
      ]),
    ),
    checkValues('returned', returned > 1 ? returned + 1 : returned, reference.returned_images),
  ];
}

interface PromptMatrixCase extends ImageCase {
  prompt: string;
  negative_prompt: string;
  seed: number;
  batch_size: number;
  arguments: {
    put_at_start: boolean;
    different_seeds: boolean;
    prompt_type: 'positive' | 'negative';
    variations_delimiter: 'comma' | 'space';
  };
  result_prompt: string | string[];
  result_negative_prompt: string | string[];
  result_seed: number[];
  result_n_iter: number;
  result_grid: { rows: number; cols: number };
  result_horizontal: [string, boolean][][];
  result_vertical: [string, boolean][][];
}

function promptMatrixChecks(reference: PromptMatrixCase): Check[] {
  const { arguments: given } = reference;
  const positive = given.prompt_type === 'positive';
  const plan = planPromptMatrix({
    prompt: positive ? reference.prompt : reference.negative_prompt,
    seed: reference.seed,
    batchSize: reference.batch_size,
    putAtStart: given.put_at_start,
    differentSeeds: given.different_seeds,
    delimiter: given.variations_delimiter,
  });
  const legend = (parts: typeof plan.horizontal) =>
    parts.map((row) => row.map(({ text, active }) => [text, active]));
  return [
    checkValues(
      'prompts',
      plan.prompts,
      positive ? reference.result_prompt : reference.result_negative_prompt,
    ),
    checkValues('seeds', plan.seeds, reference.result_seed),
    checkValues('batches', plan.batches, reference.result_n_iter),
    checkValues('grid', { rows: plan.rows, cols: plan.columns }, reference.result_grid),
    checkValues('horizontal', legend(plan.horizontal), reference.result_horizontal),
    checkValues('vertical', legend(plan.vertical), reference.result_vertical),
  ];
}

interface XyzRangesCase extends ImageCase {
  axis: string;
  text: string;
  values: unknown[] | null;
  labels: string[] | null;
}

/** A request like the reference's. */
const XYZ_BASE: XyzRequest = {
  prompt: '',
  negative_prompt: '',
  seed: 5,
  subseed: 6,
  steps: 20,
  cfg_scale: 7,
  denoising_strength: 0.75,
  width: 8,
  height: 8,
  styles: [],
  override_settings: {},
};

const NOTHING = axisValues('Nothing', '');

function axisValues(label: string, text: string): XyzAxisValues {
  const axis = findXyzAxis(label, 'txt2img') ?? findXyzAxis(label, 'img2img');
  if (!axis) throw new Error(`There is no axis "${label}".`);
  return { axis, values: label === 'Nothing' ? [0] : readXyzValues(axis.kind, text) };
}

function xyzRangesChecks({ axis, text, values, labels }: XyzRangesCase): Check[] {
  if (!values) return [checkRefuses(text, () => axisValues(axis, text))];
  const read = axisValues(axis, text);
  const plan = planXyzPlot({
    x: read,
    y: NOTHING,
    z: NOTHING,
    request: XYZ_BASE,
    varySeeds: { x: false, y: false, z: false },
  });
  return [checkValues('values', read.values, values), checkValues('labels', plan.labels.x, labels)];
}

interface XyzCase extends ImageCase {
  axes: [label: string, text: string][];
  prompt: string;
  negative_prompt: string;
  arguments: {
    include_lone_images: boolean;
    include_sub_grids: boolean;
    vary_seeds_x: boolean;
    vary_seeds_y: boolean;
    vary_seeds_z: boolean;
  };
  error: string | null;
  cells_in_order: Record<string, unknown>[] | null;
  image_sizes: Pair[] | null;
  x_labels: string[];
  y_labels: string[];
  z_labels: string[];
  xs: unknown[];
  ys: unknown[];
  zs: unknown[];
  first_axis: string;
  second_axis: string;
}

function xyzChecks(reference: XyzCase): Check[] {
  const { arguments: given } = reference;
  const plan = () => {
    const [x = NOTHING, y = NOTHING, z = NOTHING] = reference.axes.map(([label, text]) =>
      axisValues(label, text),
    );
    for (const axis of [x, y, z]) checkXyzValues(axis, isSampler);
    const request = { ...XYZ_BASE, prompt: reference.prompt, negative_prompt: reference.negative_prompt };
    const varySeeds = { x: given.vary_seeds_x, y: given.vary_seeds_y, z: given.vary_seeds_z };
    return { axes: { x, y, z }, plot: planXyzPlot({ x, y, z, request, varySeeds }) };
  };
  if (reference.error !== null || !reference.cells_in_order) return [checkRefuses('plan', plan)];
  const { axes, plot } = plan();
  return [
    checkValues(
      'values',
      [axes.x.values, axes.y.values, axes.z.values],
      [reference.xs, reference.ys, reference.zs],
    ),
    checkValues('labels', plot.labels, {
      x: reference.x_labels,
      y: reference.y_labels,
      z: reference.z_labels,
    }),
    checkValues('order', plot.order, [reference.first_axis, reference.second_axis]),
    checkValues(
      'cells',
      plot.cells.map(({ request }) => differences(request)),
      reference.cells_in_order,
    ),
    checkValues('sizes', returnedSizes(plot, given), reference.image_sizes),
  ];
}

/** Names of samplers in any case, as the webui has them. */
function isSampler(name: string): boolean {
  return INFOTEXT_SAMPLERS.some(({ label }) => label.toLowerCase() === name.toLowerCase());
}

/** What of a request the reference lists. */
function differences(request: XyzRequest): Record<string, unknown> {
  const always = ['prompt', 'negative_prompt', 'seed'];
  return Object.fromEntries(
    Object.entries(request).filter(
      ([key, value]) => always.includes(key) || JSON.stringify(value) !== JSON.stringify(XYZ_BASE[key]),
    ),
  );
}

/** Sizes of the returned images where every cell is 8×8. */
function returnedSizes(plot: XyzPlot, given: XyzCase['arguments']): Pair[] {
  const { columns, rows, grids } = plot;
  const wanted = { subGrids: given.include_sub_grids, loneImages: given.include_lone_images };
  return xyzReturned(plot, wanted).map((image) => {
    if ('all' in image) return [8 * columns * grids, 8 * rows];
    return 'grid' in image ? [8 * columns, 8 * rows] : [8, 8];
  });
}

/** Grids of images, and scripts that are plans. */
export const a1111ScriptKinds: Readonly<Record<string, KindRunner>> = {
  'a1111-grid': kindRunner<GridCase>('a1111-grid', gridChecks),
  'a1111-image-grid': kindRunner<ImageGridCase>('a1111-image-grid', imageGridChecks),
  'a1111-sd-upscale': kindRunner<SdUpscaleCase>('a1111-sd-upscale', sdUpscaleChecks),
  'a1111-loopback': kindRunner<LoopbackCase>('a1111-loopback', loopbackChecks),
  'a1111-prompt-matrix': kindRunner<PromptMatrixCase>('a1111-prompt-matrix', promptMatrixChecks),
  'a1111-xyz-ranges': kindRunner<XyzRangesCase>('a1111-xyz-ranges', xyzRangesChecks),
  'a1111-xyz': kindRunner<XyzCase>('a1111-xyz', xyzChecks),
};
