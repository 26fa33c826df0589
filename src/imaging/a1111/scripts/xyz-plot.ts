import { pythonFloat } from '#codecs/infotext.ts';
import { AppError } from '#protocol/error.ts';
import type { Size } from '#protocol/job.ts';
import type { XyzAxis } from './xyz-axes.ts';
import type { XyzValue } from './xyz-values.ts';

/** The fields of a request that a plot looks at, by the webui's names; others are carried along. */
export interface XyzRequest {
  prompt: string;
  negative_prompt: string;
  seed: number;
  steps: number;
  styles: readonly string[];
  override_settings: Readonly<Record<string, unknown>>;
  [field: string]: unknown;
}

/** An axis with its values. An axis of nothing has one value, 0. */
export interface XyzAxisValues {
  axis: XyzAxis;
  values: readonly XyzValue[];
}

/** The parts of a plot. */
export interface XyzPlotRequest {
  x: XyzAxisValues;
  y: XyzAxisValues;
  z: XyzAxisValues;
  request: XyzRequest;
  /** Axes along which the seed grows by one from cell to cell. */
  varySeeds: { x: boolean; y: boolean; z: boolean };
}

/** One request of a plot. */
export interface XyzCell {
  request: XyzRequest;
  /** Place of its image among the cells: columns first, then rows, then grids. */
  index: number;
}

/** A plot: its requests in the order they run, and the texts of its legend. */
export interface XyzPlot {
  cells: readonly XyzCell[];
  columns: number;
  rows: number;
  /** Grids of columns × rows, put beside each other in a grid of one row. */
  grids: number;
  labels: { x: readonly string[]; y: readonly string[]; z: readonly string[] };
  /** The axes of the outermost and the next loop. */
  order: readonly [first: 'x' | 'y' | 'z', second: 'x' | 'y' | 'z'];
}

/**
 * The requests of an X/Y/Z plot, the axis that is slowest to change in the outermost loop.
 * Source: A1111 scripts/xyz_grid.py, `run`, `draw_xyz_grid`.
 * @throws AppError `invalid_request` for a search text that is in neither prompt
 */
export function planXyzPlot(plot: XyzPlotRequest): XyzPlot {
  const { x, y, z } = plot;
  const order = loopOrder(plot);
  const lengths = { x: x.values.length, y: y.values.length, z: z.values.length };
  const [first, second] = order;
  const third = (['x', 'y', 'z'] as const).find((name) => name !== first && name !== second) ?? 'x';
  const cells: XyzCell[] = [];
  for (let i = 0; i < lengths[first]; i++) {
    for (let j = 0; j < lengths[second]; j++) {
      for (let k = 0; k < lengths[third]; k++) {
        const place = { x: 0, y: 0, z: 0, [first]: i, [second]: j, [third]: k };
        cells.push(cellAt(plot, place));
      }
    }
  }
  const labels = ({ axis, values }: XyzAxisValues) => values.map((value) => legendOf(axis, value));
  return {
    cells,
    columns: lengths.x,
    rows: lengths.y,
    grids: lengths.z,
    labels: { x: labels(x), y: labels(y), z: labels(z) },
    order,
  };
}

/**
 * Refuses values of an axis that must be the name of something there is, before anything runs.
 * @param isKnown whether there is a sampler, or checkpoint, of a name
 * @throws AppError `invalid_request`
 */
export function checkXyzValues({ axis, values }: XyzAxisValues, isKnown: (name: string) => boolean): void {
  for (const name of axis.confirms ? values.map(textOf) : []) {
    const none = axis.confirms === 'choice or none' && ['', 'none', 'None'].includes(name);
    if (none || isKnown(name)) continue;
    throw new AppError(
      'invalid_request',
      `The X/Y/Z plot's axis "${axis.label}" has no value "${name}". Use one of its choices.`,
    );
  }
}

/** What a request of a plot changes: fields of the request that was planned with, and settings. */
export function xyzChanges(
  { override_settings: overrides, ...fields }: XyzRequest,
  planned: XyzRequest,
): { fields: Readonly<Record<string, unknown>>; overrides: Readonly<Record<string, unknown>> } {
  const changed = Object.entries(fields).filter(([name, value]) => value !== planned[name]);
  return { fields: Object.fromEntries(changed), overrides };
}

/** Whether one of the axes has seeds for its values, so that the request's own does not count. */
export function setsXyzSeed(axes: readonly XyzAxisValues[]): boolean {
  return axes.some(
    ({ axis: { effect } }) => typeof effect === 'object' && 'set' in effect && effect.set === 'seed',
  );
}

/** Millions of pixels of a plot's grid, rounded, as the webui compares them with its limit. */
export function xyzMegapixels(axes: readonly XyzAxisValues[], { width, height }: Size): number {
  const cells = axes.reduce((count, { values }) => count * values.length, 1);
  return Math.round((cells * width * height) / 1e6);
}

/** Which images a plot returns, in their order. */
export function xyzReturned(
  { grids, columns, rows }: Pick<XyzPlot, 'grids' | 'columns' | 'rows'>,
  { subGrids, loneImages }: { subGrids: boolean; loneImages: boolean },
): ({ all: true } | { grid: number } | { cell: number })[] {
  const number = (length: number) => Array.from({ length }, (_, i) => i);
  return [
    { all: true },
    ...(subGrids ? number(grids).map((grid) => ({ grid })) : []),
    ...(loneImages ? number(grids * columns * rows).map((cell) => ({ cell })) : []),
  ];
}

function loopOrder({ x, y, z }: XyzPlotRequest): XyzPlot['order'] {
  const cost = { x: x.axis.cost ?? 0, y: y.axis.cost ?? 0, z: z.axis.cost ?? 0 };
  if (cost.x > cost.y && cost.x > cost.z) return ['x', cost.y > cost.z ? 'y' : 'z'];
  if (cost.y > cost.x && cost.y > cost.z) return ['y', cost.x > cost.z ? 'x' : 'z'];
  if (cost.z > cost.x && cost.z > cost.y) return ['z', cost.x > cost.y ? 'x' : 'y'];
  return ['z', 'y'];
}

function cellAt(plot: XyzPlotRequest, place: { x: number; y: number; z: number }): XyzCell {
  const { varySeeds } = plot;
  const [columns, rows] = [plot.x.values.length, plot.y.values.length];
  const request = (['x', 'y', 'z'] as const).reduce(
    (changed, name) => applyValue(changed, plot[name], place[name]),
    plot.request,
  );
  const [width, height] = [varySeeds.x ? columns : 1, varySeeds.y ? rows : 1];
  const shift =
    (varySeeds.x ? place.x : 0) +
    (varySeeds.y ? place.y * width : 0) +
    (varySeeds.z ? place.z * width * height : 0);
  return {
    request: { ...request, seed: request.seed + shift },
    index: place.x + columns * (place.y + rows * place.z),
  };
}

function applyValue(
  request: XyzRequest,
  { axis: { effect }, values }: XyzAxisValues,
  index: number,
): XyzRequest {
  const value = values[index] ?? '';
  const override = (key: string, setting: unknown) => ({
    ...request,
    override_settings: { ...request.override_settings, [key]: setting },
  });
  if (typeof effect === 'object') {
    if ('set' in effect) return { ...request, [effect.set]: value };
    const boolean = effect.as === 'boolean';
    return override(effect.override, boolean ? textOf(value).toLowerCase() === 'true' : value);
  }
  switch (effect) {
    case 'nothing':
      return request;
    case 'prompt search and replace':
      return searchAndReplace(request, textOf(values[0]), textOf(value));
    case 'prompt order':
      return { ...request, prompt: reorder(request.prompt, Array.isArray(value) ? value : []) };
    case 'size':
      return { ...request, ...readSize(textOf(value)) };
    case 'styles':
      return { ...request, styles: [...request.styles, ...textOf(value).split(',')] };
    case 'unipc order':
      return override('uni_pc_order', Math.min(Number(value), request.steps - 1));
    case 'vae':
      return override('sd_vae', vaeName(textOf(value)));
    case 'face restore':
      return { ...request, ...faceRestoration(textOf(value)) };
  }
}

function textOf(value: XyzValue | undefined): string {
  return typeof value === 'string' ? value : String(value ?? '');
}

function searchAndReplace(request: XyzRequest, search: string, replacement: string): XyzRequest {
  const { prompt, negative_prompt: negative } = request;
  if (!prompt.includes(search) && !negative.includes(search)) {
    throw new AppError(
      'invalid_request',
      `Prompt S/R did not find "${search}" in the prompt or the negative prompt. The first value must be text that occurs in one of them.`,
    );
  }
  const replace = (text: string) => text.replaceAll(search, () => replacement);
  return { ...request, prompt: replace(prompt), negative_prompt: replace(negative) };
}

/** Puts parts of a prompt into another order, leaving what is between them where it is. */
function reorder(prompt: string, parts: readonly string[]): string {
  const found = [...parts].sort((a, b) => prompt.indexOf(a) - prompt.indexOf(b));
  let rest = prompt;
  const pieces = found.map((part) => {
    // A part that overlaps one before it is no longer there; the webui then leaves out the last character.
    const at = rest.indexOf(part);
    const before = at < 0 ? rest.slice(0, -1) : rest.slice(0, at);
    rest = rest.slice(Math.max(at + part.length, 0));
    return before;
  });
  return pieces.map((piece, i) => piece + (parts[i] ?? '')).join('') + rest;
}

/** Sides of `512x640`; nothing if it is not a size. */
function readSize(text: string): { width?: number; height?: number } {
  const size = /^\s*([+-]?\d+)\s*x\s*([+-]?\d+)\s*$/.exec(text);
  return size ? { width: Number(size[1]), height: Number(size[2]) } : {};
}

function vaeName(name: string): string {
  const plain = name.trim().toLowerCase();
  if (plain === 'auto' || plain === 'automatic') return 'Automatic';
  return plain === 'none' ? 'None' : name.trim();
}

function faceRestoration(name: string): { restore_faces: boolean; face_restoration_model?: string } {
  const plain = name.toLowerCase();
  if (plain === 'codeformer') return { restore_faces: true, face_restoration_model: 'CodeFormer' };
  if (plain === 'gfpgan') return { restore_faces: true, face_restoration_model: 'GFPGAN' };
  return { restore_faces: ['true', 'yes', 'y', '1'].includes(plain) };
}

function legendOf({ label, kind, legend }: XyzAxis, value: XyzValue): string {
  const text =
    kind === 'float' && typeof value === 'number' ? pythonFloat(Number(value.toFixed(8))) : textOf(value);
  if (legend === 'nothing') return '';
  if (legend === 'value') return text;
  if (legend === 'list') return Array.isArray(value) ? value.join(', ') : text;
  return legend === 'file name' ? text.slice(text.lastIndexOf('/') + 1) : `${label}: ${text}`;
}
