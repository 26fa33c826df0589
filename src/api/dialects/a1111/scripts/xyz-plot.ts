import type { FinishedImage } from '#api/run-job.ts';
import { f } from '#api/dialects/a1111/fields.ts';
import { pythonException } from '#api/dialects/a1111/errors.ts';
import type { GenerationBody } from '#api/dialects/a1111/generation-rows.ts';
import type { Options } from '#api/dialects/a1111/options.ts';
import {
  checkbox,
  dropdown,
  slider,
  textbox,
  type ScriptControl,
} from '#api/dialects/a1111/script-controls.ts';
import { readPixels } from '#api/dialects/a1111/pixel-files.ts';
import { xyzAxesOf } from '#imaging/a1111/scripts/xyz-axes.ts';
import { drawPlot } from '#imaging/a1111/scripts/xyz-grid.ts';
import { xyzInfotext } from '#imaging/a1111/scripts/xyz-infotext.ts';
import {
  planXyzPlot,
  setsXyzSeed,
  xyzChanges,
  xyzMegapixels,
  xyzReturned,
  type XyzAxisValues,
  type XyzPlot,
  type XyzRequest,
} from '#imaging/a1111/scripts/xyz-plot.ts';
import type { Pixels } from '#imaging/pixels.ts';
import { legendStyle } from './legend-style.ts';
import type { RunnableScript, ScriptContext, ScriptResult } from './script.ts';
import { readAxis } from './xyz-values.ts';

/** Positions of the arguments after those of the three axes. */
const PLACES = {
  legend: 9,
  cells: 10,
  grids: 11,
  random: 12,
  varyX: 13,
  varyY: 14,
  varyZ: 15,
  margin: 16,
  text: 17,
};

/** A grid of images that differ along up to three axes (A1111 scripts/xyz_grid.py). */
export function xyzPlot(isImg2img: boolean): RunnableScript<GenerationBody> {
  return { title: 'X/Y/Z plot', controls: controlsOf(isImg2img), run };
}

function controlsOf(isImg2img: boolean): ScriptControl[] {
  const labels = xyzAxesOf(isImg2img ? 'img2img' : 'txt2img').map(({ label }) => label);
  return [
    ...(['X', 'Y', 'Z'] as const).flatMap((name) => [
      dropdown(`${name} type`, labels, labels[name === 'X' ? 1 : 0]),
      textbox(`${name} values`),
      { label: `${name} values`, value: [], choices: [] },
    ]),
    checkbox('Draw legend', true),
    checkbox('Include Sub Images'),
    checkbox('Include Sub Grids'),
    checkbox('Keep -1 for seeds'),
    checkbox('Vary seeds for X'),
    checkbox('Vary seeds for Y'),
    checkbox('Vary seeds for Z'),
    slider('Grid margins (px)', 0, 0, 500, 2),
    checkbox('Use text inputs instead of dropdowns'),
  ];
}

async function run(context: ScriptContext<GenerationBody>): Promise<ScriptResult> {
  const { args, body, isImg2img, installed, options } = context;
  const isOn = (place: number) => args.get(place, f.boolean());
  const keepsRandom = isOn(PLACES.random);
  const how = {
    isImg2img,
    isText: isOn(PLACES.text),
    keepsRandom,
    models: installed.models,
    fixSeed: (seed: bigint) => context.fixSeed(seed),
  };
  const [x, y, z] = [readAxis(args, 0, how), readAxis(args, 3, how), readAxis(args, 6, how)];
  checkSize(body, options, [x, y, z]);
  const plot = planXyzPlot({
    x,
    y,
    z,
    request: requestOf(body),
    varySeeds: { x: isOn(PLACES.varyX), y: isOn(PLACES.varyY), z: isOn(PLACES.varyZ) },
  });
  const margin = args.get(PLACES.margin, f.integer({ min: 0 }));
  const hasLegend = isOn(PLACES.legend);
  const returned = xyzReturned(plot, { subGrids: isOn(PLACES.grids), loneImages: isOn(PLACES.cells) });
  context.expect(plot.cells.length * body.n_iter);
  const cells = await runCells(context, plot, { keepsRandom, setsSeed: setsXyzSeed([x, y, z]) });
  const [first] = cells.values();
  if (!first) return { files: [], infotexts: [], specs: [] };
  const pixels = new Map<number, Pixels>();
  for (const [place, { blob }] of cells) pixels.set(place, await readPixels(blob));
  const drawn = drawPlot(plot, pixels, { hasLegend, style: legendStyle(options, margin) });
  if (hasLegend && !drawn.isLegible) context.ignore('script_args.Draw legend');
  const infotextAt = (place: number) => cells.get(place)?.infotext ?? first.infotext;
  const whole = xyzInfotext(infotextAt(0), { x, y, z });
  const cellsPerGrid = plot.columns * plot.rows;
  const parts = await Promise.all(
    returned.map(async (part) => {
      if ('all' in part) return { file: await context.keepGrid(drawn.all, whole, first), infotext: whole };
      if ('cell' in part) {
        const cell = cells.get(part.cell);
        return cell ? { file: cell.blob, infotext: cell.infotext } : null;
      }
      const grid = drawn.grids[part.grid];
      const infotext = xyzInfotext(infotextAt(part.grid * cellsPerGrid), { x, y });
      return grid ? { file: await context.keepGrid(grid, infotext, first), infotext } : null;
    }),
  );
  const made = parts.filter((part) => part !== null);
  return {
    files: made.map(({ file }) => file),
    infotexts: made.map(({ infotext }) => infotext),
    specs: [...cells].sort(([a], [b]) => a - b).map(([, cell]) => cell),
  };
}

/** @throws AppError as the original for grids that are too large */
function checkSize(
  { width, height }: GenerationBody,
  { img_max_size_mp: most }: Options,
  axes: readonly XyzAxisValues[],
): void {
  const megapixels = xyzMegapixels(axes, { width, height });
  if (megapixels < most) return;
  throw pythonException(
    'AssertionError',
    `Error: Resulting grid would be too large (${megapixels} MPixels) (max configured size is ${most} MPixels)`,
  );
}

/** Seeds that no axis sets are added to the request's own later. */
function requestOf(body: GenerationBody): XyzRequest {
  return { ...body, seed: 0, styles: body.styles ?? [], override_settings: {} };
}

interface SeedRules {
  keepsRandom: boolean;
  /** One of the axes has them as its values. */
  setsSeed: boolean;
}

/** The first image of each cell, by the cell's place. */
async function runCells(
  context: ScriptContext<GenerationBody>,
  plot: XyzPlot,
  { keepsRandom, setsSeed }: SeedRules,
): Promise<Map<number, FinishedImage>> {
  const { body } = context;
  const fix = (seed: bigint) => (keepsRandom ? seed : context.fixSeed(seed));
  const subseed = fix(body.subseed);
  const own = requestOf(body);
  const base = setsSeed ? 0n : fix(body.seed);
  const made = new Map<number, FinishedImage>();
  for (const { request, index } of plot.cells) {
    const { fields, overrides } = xyzChanges(request, own);
    const changes = {
      subseed,
      ...fields,
      seed: base === -1n ? base : base + BigInt(request.seed),
    } as Partial<GenerationBody>;
    const { images } = await context.generate({ changes, overrides });
    const [image] = images;
    if (image) made.set(index, image);
    if (context.isStopped()) break;
  }
  return made;
}
