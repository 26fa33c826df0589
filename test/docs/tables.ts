import { format, resolveConfig } from 'prettier';
import { DIFFUSERS_SCHEDULERS, diffusersSampler } from '#api/diffusers-scheduler.ts';
import { optionTable } from '#api/dialects/a1111/options.ts';
import { SAMPLERS, SCHEDULERS } from '#codecs/a1111-samplers.ts';
import { advancedParameters } from '#api/dialects/fooocus/parameters.ts';
import {
  samplers as fooocusSamplers,
  schedules as fooocusSchedules,
} from '#api/dialects/fooocus/samplers.ts';
import { dialects } from '#api/dialects/index.ts';
import { samplerFor } from '#api/dialects/sdcn/map.ts';
import type { ParameterRule, ParameterTable } from '#api/parameters.ts';
import type { Dialect, Route } from '#api/route.ts';
import { diffusersSchedulers } from '#engine/samplers/diffusers/index.ts';
import { planSampling } from '#engine/samplers/index.ts';
import { kDiffusionSamplers } from '#engine/samplers/k-diffusion/index.ts';
import { sigmaSchedules } from '#engine/samplers/k-diffusion/sigma-schedules.ts';
import type { SamplerChoice } from '#protocol/sampler.ts';
import { cases as kDiffusionCases } from '../parity/k-diffusion.ts';
import { cases as schedulerCases } from '../parity/schedulers.ts';

const FIXTURES = new URL('../fixtures', import.meta.url).pathname;
const LINE_WIDTH = 110;
/** Steps that the samplers' costs are told for. */
const STEPS = 20;
/** Largest relative difference of final latents that counts as the reference's own result. */
const PARITY_TOLERANCE = 1e-3;

const start = (name: string) => `<!-- ${name}: written by npm run docs -->`;
const end = (name: string) => `<!-- /${name} -->`;

/**
 * The README with its generated parts as the code has them now, formatted.
 * @throws Error when the marks of a part are missing
 */
export async function writeTables(readme: string, file: string): Promise<string> {
  const parts = {
    samplers: await describeSamplers(),
    compatibility: dialects.map(describeDialect).join('\n\n'),
  };
  let text = readme;
  for (const [name, part] of Object.entries(parts)) {
    const [before, rest] = text.split(start(name));
    const after = rest?.split(end(name))[1];
    if (before === undefined || after === undefined)
      throw new Error(`The README lacks the marks ${start(name)} and ${end(name)}.`);
    text = [before, start(name), '\n\n', part, '\n\n', end(name), after].join('');
  }
  return format(text, { ...(await resolveConfig(file)), filepath: file });
}

const code = (text: string) => `\`${text}\``;

function table(head: readonly string[], rows: readonly (readonly string[])[]): string {
  const line = (cells: readonly string[]) => `| ${cells.join(' | ')} |`;
  return [line(head), line(head.map(() => '---')), ...rows.map(line)].join('\n');
}

/** A part that opens on a click. Markdown is not read inside a summary: its code becomes HTML. */
function details(summary: string, ...parts: readonly string[]): string {
  const html = summary.replace(/`([^`]+)`/g, '<code>$1</code>');
  return [`<details><summary>${html}</summary>`, ...parts, '</details>'].join('\n\n');
}

/** A list item broken into lines between its words. */
function item(text: string): string {
  const lines: string[] = [];
  let line = '-';
  for (const word of text.split(' ')) {
    if (line.length + word.length >= LINE_WIDTH) {
      lines.push(line);
      line = ' ';
    }
    line += ` ${word}`;
  }
  return [...lines, line].join('\n');
}

/** Tables of parameters that belong to no body of their own. */
const FURTHER_PARAMETERS: Readonly<Record<string, { summary: string; table: ParameterTable }>> = {
  a1111: { summary: 'Options (`POST /sdapi/v1/options`, `override_settings`)', table: optionTable },
  fooocus: { summary: 'Fields of `advanced_params`', table: advancedParameters },
};

function describeDialect(dialect: Dialect): string {
  const further = FURTHER_PARAMETERS[dialect.name];
  const pathsByText = new Map<string, string[]>();
  const [first] = dialect.routes;
  for (const route of dialect.routes) {
    if (!route.parameters || route.parameters === further?.table) continue;
    const text = describeOwnParameters(route.parameters, route === first ? undefined : first);
    pathsByText.set(text, [...(pathsByText.get(text) ?? []), route.path]);
  }
  return details(
    `<b>${dialect.title}</b>: ${countRoutes(dialect)}, also under ${code(`${dialect.prefix ?? ''}/…`)}`,
    table(
      ['Route', 'Here', 'What'],
      dialect.routes.map((route) => [
        code(`${route.method} ${route.path}`),
        ...describeRoute(route, dialect),
      ]),
    ),
    ...[...pathsByText].map(([text, paths]) => details(`Parameters of ${list(paths)}`, text)),
    ...(further ? [details(further.summary, describeParameters(further.table))] : []),
  );
}

/** Only what a route has beyond the dialect's first one, where it has all of that. */
function describeOwnParameters(parameters: ParameterTable, first: Route | undefined): string {
  const shared = Object.entries(first?.parameters ?? {});
  if (!first || parameters === first.parameters || shared.some(([name, rule]) => parameters[name] !== rule))
    return describeParameters(parameters);
  const own = Object.entries(parameters).filter(([name]) => first.parameters?.[name] === undefined);
  return [item(`Those of ${code(first.path)}, and:`), describeParameters(Object.fromEntries(own))].join('\n');
}

const UNAVAILABLE = 'Not available yet: ';

function countRoutes({ routes }: Dialect): string {
  const refused = routes.filter(({ summary }) => summary.startsWith(UNAVAILABLE)).length;
  return `${routes.length - refused} routes answered${refused > 0 ? `, ${refused} refused` : ''}`;
}

/** Whether a route is answered, and what it does or lacks. */
function describeRoute({ summary, parameters }: Route, { routes }: Dialect): [string, string] {
  if (summary.startsWith(UNAVAILABLE)) return ['refused', summary.slice(UNAVAILABLE.length)];
  if (summary.startsWith('Accepted')) return ['no effect', summary];
  const usual = refusedNames(routes[0]?.parameters);
  const own = refusedNames(parameters).filter((name) => !usual.includes(name));
  return own.length > 0 ? ['in part', `${summary}; not with ${list(own)}`] : ['answered', summary];
}

/** Whose detail a refused parameter is, see detailOf. */
const DETAIL = / \(with (.+)\)$/;

/** The parameters that a route refuses for themselves. */
function refusedNames(parameters: ParameterTable = {}): string[] {
  return Object.entries(parameters).flatMap(([name, rule]) =>
    rule.class === 'refused' && !DETAIL.test(rule.needs) ? [name] : [],
  );
}

/** The classes of a table's parameters with the reasons, a list item each. */
function describeParameters(parameters: ParameterTable): string {
  const groups = new Map<string, string[]>();
  for (const [name, rule] of Object.entries(parameters)) {
    const group = nameGroup(rule);
    groups.set(group, [...(groups.get(group) ?? []), name]);
  }
  const order = ['**Honoured', '**No effect', '**Refused', '**Details'];
  const rank = (group: string) => order.findIndex((start) => group.startsWith(start));
  return [...groups]
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([group, names]) => item(`${group}: ${list(names)}`))
    .join('\n');
}

function nameGroup(rule: ParameterRule): string {
  switch (rule.class) {
    case 'honoured':
      return '**Honoured**';
    case 'ignored':
      return `**No effect** (${rule.why})`;
    case 'refused': {
      const [detail, parameter] = DETAIL.exec(rule.needs) ?? [];
      return detail === undefined || parameter === undefined
        ? `**Refused** (needs ${rule.needs})`
        : `**Details** of ${code(parameter)} (needs ${rule.needs.slice(0, -detail.length)})`;
    }
  }
}

/** Names as code; those that count up become one: `cn_img1…4`. */
function list(names: readonly string[]): string {
  const shown = names.map((name) => {
    const stem = name.replace(/\d$/, '');
    if (stem === name || !names.includes(`${stem}1`) || !names.includes(`${stem}2`)) return name;
    return `${stem}1…${names.filter((other) => /\d$/.test(other) && other.slice(0, -1) === stem).length}`;
  });
  return [...new Set(shown)].map(code).join(', ');
}

/** Stable Diffusion's own training. */
const MODEL = { schedulerConfig: { prediction_type: 'epsilon' } };

/** Runs of the network in 20 steps, and what is drawn besides. */
function costOf(choice: SamplerChoice): [string, string] {
  const { evaluations, adaptive, deterministic, brownian } = planSampling(choice, MODEL, STEPS);
  return [
    adaptive ? `about ${evaluations}` : String(evaluations),
    deterministic ? 'none' : brownian ? 'Brownian path' : 'independent draws',
  ];
}

async function describeSamplers(): Promise<string> {
  const parity = await countParity();
  const columns = [
    'Program',
    'A1111',
    'SDCN',
    'Fooocus',
    'ModelsLab, itsrose',
    'Left to itself',
    `Runs in ${STEPS} steps`,
    'Noise on the way',
    'Reference runs within 1e-3',
  ];
  return [
    details(
      `<b>Samplers</b>: ${SAMPLERS.length} of A1111, ${Object.keys(fooocusSamplers).length} of Fooocus, ${DIFFUSERS_SCHEDULERS.length} of ModelsLab and itsrose`,
      table(columns, [...describeKDiffusion(parity), ...describeDiffusers(parity)]),
    ),
    details(
      `<b>Sigma schedules</b>: ${SCHEDULERS.length} of A1111, ${fooocusSchedules.length} of Fooocus`,
      describeSchedules(),
    ),
  ].join('\n\n');
}

/** Of each program with reference trajectories: `3 of 4` of them are met. */
async function countParity(): Promise<ReadonlyMap<string, string>> {
  const runs = new Map<string, boolean[]>();
  for (const suite of [kDiffusionCases, schedulerCases]) {
    for await (const { name, error } of suite(FIXTURES)) {
      const program = /^[\w-]+\/(\w+)/.exec(name)?.[1] ?? '';
      runs.set(program, [...(runs.get(program) ?? []), error <= PARITY_TOLERANCE]);
    }
  }
  return new Map(
    [...runs].map(([program, met]) => [program, `${met.filter(Boolean).length} of ${met.length}`]),
  );
}

function describeKDiffusion(parity: ReadonlyMap<string, string>): string[][] {
  return Object.entries(kDiffusionSamplers).map(([id, definition]) => {
    const a1111 = SAMPLERS.find((sampler) => sampler.id === id)?.name ?? '';
    const sdcn = [a1111, `${a1111} Karras`].filter((name) => a1111 !== '' && samplerFor(name) === name);
    const ownSchedule = 'schedule' in definition ? definition.schedule : 'uniform';
    return [
      code(id),
      a1111,
      sdcn.join(', '),
      Object.hasOwn(fooocusSamplers, id) ? code(id) : '',
      '',
      definition.over === 'timesteps' ? 'its own times' : code(ownSchedule),
      ...costOf({ family: 'k-diffusion', sampler: id, schedule: 'automatic', options: {} }),
      parity.get(id) ?? parity.get(id.replace(/_gpu$/, '')) ?? 'none: a second implementation',
    ];
  });
}

function describeSchedules(): string {
  const rows = ['automatic', ...Object.keys(sigmaSchedules)].map((name) => [
    code(name),
    SCHEDULERS.find((schedule) => schedule.name === name)?.label ?? '',
    fooocusSchedules.some((schedule) => schedule === name) ? code(name) : '',
  ]);
  return table(['Schedule', 'A1111', 'Fooocus'], rows);
}

function describeDiffusers(parity: ReadonlyMap<string, string>): string[][] {
  return Object.keys(diffusersSchedulers).map((scheduler) => {
    const isFlow = scheduler.startsWith('FlowMatch');
    const cost = isFlow ? ['', ''] : costOf({ family: 'diffusers', scheduler, config: {} });
    const verdict = parity.get(scheduler) ?? 'none: its formulas';
    return [code(scheduler), '', '', '', inServices(scheduler), 'its own times', ...cost, verdict];
  });
}

/** What a request for this class runs. */
function inServices(scheduler: string): string {
  const offered = DIFFUSERS_SCHEDULERS.find((name) => name === scheduler);
  if (!offered) return '';
  const ran = diffusersSampler(offered, { useKarrasSigmas: false, algorithmType: null }).scheduler;
  return ran === scheduler ? 'yes' : `${code(ran)} in its place`;
}
