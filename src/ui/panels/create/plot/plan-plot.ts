import type { WrittenXyzAxis } from '#imaging/a1111/scripts/xyz-infotext.ts';
import {
  planXyzPlot,
  setsXyzSeed,
  xyzChanges,
  xyzMegapixels,
  type XyzCell,
  type XyzPlot,
  type XyzRequest,
} from '#imaging/a1111/scripts/xyz-plot.ts';
import { AppError } from '#protocol/error.ts';
import type { ModelInfo } from '#protocol/model.ts';
import { findModel } from '#ui/panels/create/form/fill-from-fields.ts';
import type { GenerateForm } from '#ui/panels/create/form/generate-form.svelte.ts';
import { passesOf, randomSeed } from '#ui/panels/create/form/generate-job.ts';
import type { Engine } from '#ui/state/engine.svelte.ts';
import { plotSetters } from './plot-axes.ts';

/** Images of one plot. */
const MOST_IMAGES = 500;

/** Millions of pixels of the grid: A1111's `img_max_size_mp`. */
const MOST_MEGAPIXELS = 200;

/** The axes of a plot as they were read. */
export type PlotAxes = Readonly<Record<'x' | 'y' | 'z', WrittenXyzAxis>>;

/** An image of a plot: what it is generated from. */
export interface PlannedCell {
  form: GenerateForm;
  model: ModelInfo;
  /** Its place among the images: columns first, then rows, then grids. */
  index: number;
}

/** A plot with its images in the order in which they are generated. */
export interface PlannedPlot {
  plot: XyzPlot;
  axes: PlotAxes;
  cells: readonly PlannedCell[];
}

/**
 * The images of an X/Y/Z plot: the form's own, with a value of each axis set. All have the same seed unless an axis sets it.
 * @throws AppError `invalid_request` for too many images, too large a grid, and for a text that Prompt S/R does not find
 */
export function planPlot(form: GenerateForm, model: ModelInfo, axes: PlotAxes, engine: Engine): PlannedPlot {
  const { x, y, z } = axes;
  const all = [x, y, z];
  const count = all.reduce((product, { values }) => product * values.length, 1);
  if (count > MOST_IMAGES) {
    throw new AppError(
      'invalid_request',
      `These are ${count} images. A plot has at most ${MOST_IMAGES}: leave out values.`,
    );
  }
  const megapixels = xyzMegapixels(all, form.sizeFor(model.pack));
  if (megapixels >= MOST_MEGAPIXELS) {
    throw new AppError(
      'invalid_request',
      `The grid would have ${megapixels} megapixels, and less than ${MOST_MEGAPIXELS} are possible. Leave out values, or generate smaller images.`,
    );
  }
  const request: XyzRequest = {
    prompt: form.prompt,
    negative_prompt: form.negativePrompt,
    seed: 0,
    steps: form.steps,
    styles: [...form.styles],
    override_settings: {},
  };
  const plot = planXyzPlot({ x, y, z, request, varySeeds: { x: false, y: false, z: false } });
  const seed = form.hasRandomSeed ? randomSeed().toString() : form.seed;
  const setsSeed = setsXyzSeed(all);
  const cellOf = (cell: XyzCell): PlannedCell => {
    const copy = form.copy();
    copy.count = 1;
    copy.batchSize = 1;
    copy.sources = copy.sources.slice(0, 1);
    copy.seed = setsSeed ? String(cell.request.seed) : seed;
    const { fields, overrides } = xyzChanges(cell.request, request);
    const changes = { ...fields, ...overrides };
    for (const [name, value] of Object.entries(changes)) plotSetters[name]?.(copy, value, engine);
    const checkpoint = overrides['sd_model_checkpoint'];
    const other =
      typeof checkpoint === 'string' ? findModel({ model: checkpoint }, engine.installedModels) : undefined;
    return { form: copy, model: other ?? model, index: cell.index };
  };
  return { plot, axes, cells: plot.cells.map(cellOf) };
}

/** Seconds that images will take on this device, as far as it is known: null where one of them is not. */
export function secondsOfCells(cells: readonly PlannedCell[], engine: Engine): number | null {
  return engine.speeds.secondsForAll(
    cells.map(({ form, model }) => passesOf(form, { model, addOns: engine.addOnsFor(model.pack) })),
  );
}
