import { findXyzAxis, isSeedAxis, NO_XYZ_AXIS } from '#imaging/a1111/scripts/xyz-axes.ts';
import type { WrittenXyzAxis } from '#imaging/a1111/scripts/xyz-infotext.ts';
import { readXyzValues, type XyzValue } from '#imaging/a1111/scripts/xyz-values.ts';
import { toAppError } from '#protocol/error.ts';
import { LATENT_UPSCALE_MODES, PLAIN_UPSCALERS } from '#protocol/job.ts';
import { findModel, findUpscaler } from '#ui/panels/create/form/fill-from-fields.ts';
import type { GenerateForm, PlotAxisDraft } from '#ui/panels/create/form/generate-form.svelte.ts';
import { randomSeed } from '#ui/panels/create/form/generate-job.ts';
import { samplers, schedules } from '#ui/panels/create/form/samplers.ts';
import { CELL } from '#ui/panels/create/form/shapes.ts';
import type { KnownStyles } from '#ui/panels/create/form/styled-texts.ts';
import { activeOf } from '#ui/panels/create/form/switchable.ts';
import type { Engine } from '#ui/state/engine.svelte.ts';

/** The axis of nothing, and what it is called. */
export const NOTHING = NO_XYZ_AXIS.label;

/** What an axis is read with. */
export interface PlotContext {
  form: GenerateForm;
  engine: Pick<Engine, 'installedModels' | 'fittingAddOns' | 'upscalers'>;
  /** Known styles. */
  styles: KnownStyles;
}

interface PlotAxis {
  /** A1111's. */
  label: string;
  example: string;
  /** Whether the form has what it changes. */
  isOffered?: (form: GenerateForm) => boolean;
  /** Values to choose from. */
  choices?: (context: PlotContext) => readonly string[];
  /** What is wrong with a value; nothing where it is right. */
  problem?: (value: XyzValue, context: PlotContext) => string | undefined;
}

const hasHires = (form: GenerateForm) => form.mode !== 'edit' && activeOf(form.hires) !== null;
const hasRefiner = (form: GenerateForm) => activeOf(form.refiner) !== null;

const among = (least: number, most: number) => (value: XyzValue) =>
  Number(value) >= least && Number(value) <= most
    ? undefined
    : `${String(value)} is out of range. Enter numbers from ${least} to ${most}.`;

const isOneOf = (what: string, names: (context: PlotContext) => readonly string[]) => ({
  choices: names,
  problem: (value: XyzValue, context: PlotContext) =>
    names(context).some((name) => isSame(name, String(value)))
      ? undefined
      : `There is no ${what} "${String(value)}". Choose from the list.`,
});

const checkpoints = ({ engine }: PlotContext) => engine.installedModels.map(({ pack }) => pack.id);

/** The axes that are offered, in A1111's order: those of its menu that change something the form has. */
export const plotAxes: readonly PlotAxis[] = [
  { label: NOTHING, example: '' },
  { label: 'Seed', example: '1-4', problem: seedProblem },
  { label: 'Steps', example: '10-30 [3]', problem: among(1, 150) },
  { label: 'Hires steps', example: '10, 20', isOffered: hasHires, problem: among(0, 150) },
  { label: 'CFG Scale', example: '3-9 (+2)', problem: among(1, 30) },
  { label: 'Prompt S/R', example: 'harbor, castle, forest' },
  { label: 'Prompt order', example: 'red, shiny', problem: orderProblem },
  {
    label: 'Sampler',
    example: 'Euler a, DPM++ 2M',
    ...isOneOf('sampler', () => samplers.map(({ label }) => label)),
  },
  {
    label: 'Checkpoint name',
    example: 'names, with commas between them',
    ...isOneOf('checkpoint', checkpoints),
  },
  {
    label: 'Schedule type',
    example: 'Karras, Exponential',
    ...isOneOf('schedule type', () => schedules.map(({ label }) => label)),
  },
  {
    label: 'Denoising',
    example: '0.3-0.7 [3]',
    isOffered: (form) => form.mode !== 'text' || hasHires(form),
    problem: among(0, 1),
  },
  {
    label: 'Hires upscaler',
    example: 'Latent, Lanczos',
    isOffered: hasHires,
    ...isOneOf('upscaler', ({ engine }) => [
      ...LATENT_UPSCALE_MODES,
      ...PLAIN_UPSCALERS.filter((name) => name !== 'None'),
      ...engine.upscalers.map(({ pack }) => pack.id),
    ]),
  },
  {
    label: 'VAE',
    example: 'None, names of VAEs',
    ...isOneOf('VAE', ({ engine }) => [
      'None',
      'Automatic',
      ...engine.fittingAddOns.flatMap(({ pack }) => (pack.kind === 'vae' ? [pack.id] : [])),
    ]),
  },
  {
    label: 'Styles',
    example: 'names, with commas between them',
    ...isOneOf('style', ({ styles }) => [...styles.keys()]),
  },
  {
    label: 'Refiner checkpoint',
    example: 'names, with commas between them',
    isOffered: hasRefiner,
    ...isOneOf('checkpoint', (context) => ['None', ...checkpoints(context)]),
  },
  { label: 'Refiner switch at', example: '0.6-0.9 [3]', isOffered: hasRefiner, problem: among(0.01, 1) },
  {
    label: 'Size',
    example: '512x512, 512x768',
    isOffered: (form) => !form.keepsSize,
    problem: sizeProblem,
  },
];

/** An axis as it was typed, read. */
export interface ReadAxis extends WrittenXyzAxis {
  /** What is wrong with its values, and what to do; empty where nothing is. */
  problem: string;
}

/** Reads the values of an axis. One that the form has no use for is nothing. */
export function readPlotAxis({ axis: label, text }: PlotAxisDraft, context: PlotContext): ReadAxis {
  const { form } = context;
  const offered = plotAxes.find((each) => each.label === label && (each.isOffered?.(form) ?? true));
  const axis = findXyzAxis(label, form.mode === 'text' ? 'txt2img' : 'img2img') ?? NO_XYZ_AXIS;
  const nothing = { axis: NO_XYZ_AXIS, values: [0], written: '', problem: '' };
  if (!offered || axis.effect === 'nothing') return nothing;
  if (text.trim() === '') return { ...nothing, axis, problem: `Enter values, such as ${offered.example}.` };
  try {
    const read = readXyzValues(axis.kind, text);
    const problem = firstProblem(offered, read, context);
    const values = isSeedAxis(axis)
      ? read.map((value) => (value === -1 ? Number(randomSeed()) : value))
      : read;
    return { axis, values, written: text, problem };
  } catch (thrown) {
    return { ...nothing, axis, problem: toAppError(thrown).message };
  }
}

/** Sets what a value has changed in a request, by A1111's names of fields and settings. */
export const plotSetters: Readonly<
  Record<string, (form: GenerateForm, value: unknown, engine: PlotContext['engine']) => void>
> = {
  prompt: (form, value) => (form.prompt = String(value)),
  negative_prompt: (form, value) => (form.negativePrompt = String(value)),
  steps: (form, value) => (form.steps = Number(value)),
  styles: (form, value) => (form.styles = Array.isArray(value) ? value.map(String) : []),
  cfg_scale: (form, value) => (form.guidanceScale = Number(value)),
  width: (form, value) => (form.width = Number(value)),
  height: (form, value) => (form.height = Number(value)),
  sampler_name: (form, value) => (form.samplerId = idOf(samplers, value) ?? form.samplerId),
  scheduler: (form, value) => (form.scheduleId = idOf(schedules, value) ?? form.scheduleId),
  denoising_strength: (form, value) => {
    // As in A1111, that of hires fix where there is no init image.
    if (form.mode === 'text' && form.hires) form.hires.strength = Number(value);
    else form.strength = Number(value);
  },
  hr_second_pass_steps: (form, value) => {
    if (form.hires) form.hires.steps = Number(value);
  },
  hr_upscaler: (form, value, { upscalers }) => {
    if (form.hires) form.hires.resizeBy = findUpscaler(String(value), upscalers) ?? form.hires.resizeBy;
  },
  refiner_checkpoint: (form, value, { installedModels }) => {
    const model = findModel({ model: String(value) }, installedModels);
    form.refiner = model && form.refiner ? { ...form.refiner, model: model.pack.id } : null;
  },
  refiner_switch_at: (form, value) => {
    if (form.refiner) form.refiner.switchAt = Number(value);
  },
  sd_vae: (form, value, { fittingAddOns }) => {
    const vae = fittingAddOns.find(({ pack }) => pack.kind === 'vae' && isSame(pack.id, String(value)));
    form.vae = vae?.pack.id ?? '';
  },
};

function firstProblem(offered: PlotAxis, values: readonly XyzValue[], context: PlotContext): string {
  if (values.length === 0) return `This range has no values. Write it as ${offered.example}.`;
  if (offered.label === 'Prompt S/R') return searchProblem(String(values[0]), context);
  for (const value of values) {
    const problem = offered.problem?.(value, context);
    if (problem !== undefined) return problem;
  }
  return '';
}

function seedProblem(value: XyzValue): string | undefined {
  return Number.isSafeInteger(value) && Number(value) >= -1
    ? undefined
    : `${String(value)} is no seed. Enter whole numbers from 0, or −1 for a random one.`;
}

function searchProblem(search: string, { form }: PlotContext): string {
  if (search !== '' && (form.prompt.includes(search) || form.negativePrompt.includes(search))) return '';
  return `"${search}" is in neither prompt. The first value is the text that the others replace.`;
}

function orderProblem(value: XyzValue, { form }: PlotContext): string | undefined {
  const missing = typeof value === 'object' ? value.find((part) => !form.prompt.includes(part)) : undefined;
  return missing === undefined
    ? undefined
    : `"${missing}" is not in the prompt. Enter parts of the prompt to be put in every order.`;
}

function sizeProblem(value: XyzValue): string | undefined {
  const sides = /^\s*(\d+)\s*x\s*(\d+)\s*$/.exec(String(value))?.slice(1).map(Number);
  if (!sides) return `"${String(value)}" is no size. Write sizes as 512x768.`;
  return sides.every((side) => side >= 64 && side <= 2048 && side % CELL === 0)
    ? undefined
    : `${String(value)} cannot be generated. Sides are multiples of ${CELL} from 64 to 2048.`;
}

function idOf(options: readonly { id: string; label: string }[], value: unknown): string | undefined {
  return options.find(({ label }) => isSame(label, String(value)))?.id;
}

function isSame(a: string, b: string): boolean {
  return a.toLowerCase() === b.trim().toLowerCase();
}
