import { format, resolveConfig } from 'prettier';
import { DIFFUSERS_SCHEDULERS, diffusersSampler } from '#api/diffusers-scheduler.ts';
import { SAMPLERS, SCHEDULERS } from '#api/dialects/a1111/samplers.ts';
import {
  samplers as fooocusSamplers,
  schedules as fooocusSchedules,
} from '#api/dialects/fooocus/samplers.ts';
import { dialects } from '#api/dialects/index.ts';
import { samplerFor } from '#api/dialects/sdcn/map.ts';
import { titleOf, type ParameterRule, type Rows } from '#api/parameters.ts';
import type { Dialect, Route } from '#api/route.ts';
import { diffusersSchedulers } from '#engine/samplers/diffusers/index.ts';
import { planSampling } from '#engine/samplers/index.ts';
import { kDiffusionSamplers } from '#engine/samplers/k-diffusion/index.ts';
import { sigmaSchedules } from '#engine/samplers/k-diffusion/sigma-schedules.ts';
import { CAPABILITIES } from '#protocol/capabilities.ts';
import type { SamplerChoice } from '#protocol/sampler.ts';
import { cases as kDiffusionCases } from '../parity/k-diffusion.ts';
import { cases as schedulerCases } from '../parity/schedulers.ts';

const FIXTURES = new URL('../fixtures', import.meta.url).pathname;
const LINE_WIDTH = 110;
/** Steps that the samplers' costs are for. */
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
    compatibility: [describeCapabilities(), ...dialects.map(describeDialect)].join('\n\n'),
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

/** What is built and what not, and which packs it takes. */
function describeCapabilities(): string {
  const rows = Object.values(CAPABILITIES).map(({ title, built, pack }) => [
    title.charAt(0).toUpperCase() + title.slice(1),
    built ? 'yes' : 'not yet',
    pack === null ? '' : code(pack),
  ]);
  return details(
    '<b>What works</b> beyond images from prompts',
    table(['Capability', 'Here', 'Kind of pack'], rows),
  );
}

function describeDialect(dialect: Dialect): string {
  const first = rowsOf(dialect.routes[0]);
  const pathsByText = new Map<string, string[]>();
  for (const route of dialect.routes) {
    const rows = rowsOf(route);
    // Where all is honoured there is nothing to say.
    if (isMissing(route) || isAllHonoured(rows)) continue;
    const text = rows === first ? describeParameters(rows) : describeOwnParameters(rows, dialect.routes[0]);
    pathsByText.set(text, [...(pathsByText.get(text) ?? []), route.path]);
  }
  return details(
    `<b>${dialect.title}</b>: ${countRoutes(dialect)}, also under ${code(`${dialect.prefix ?? ''}/…`)}`,
    table(
      ['Route', 'Here', 'What'],
      dialect.routes.map((route) => [code(`${route.method} ${route.path}`), ...describeRoute(route, first)]),
    ),
    ...[...pathsByText].map(([text, paths]) => details(`Parameters of ${list(paths)}`, text)),
  );
}

/** The parameters of a route's body. */
function rowsOf(route: Route | undefined): Rows {
  return route?.body && 'rows' in route.body ? route.body.rows : {};
}

/** Whether there is nothing to say of a body's rows, or of those within them. */
function isAllHonoured(rows: Rows): boolean {
  return Object.values(rows).every(
    ({ rule, nested = {} }) => rule.kind === 'honoured' && isAllHonoured(nested),
  );
}

const isMissing = ({ status }: Route) => typeof status === 'object' && !CAPABILITIES[status.needs].built;

/** Only what a route has beyond the dialect's first one, where it has all of that. */
function describeOwnParameters(rows: Rows, first: Route | undefined): string {
  const shared = rowsOf(first);
  const hasAll = Object.entries(shared).every(([name, row]) => rows[name]?.rule === row.rule);
  const own = Object.fromEntries(Object.entries(rows).filter(([name]) => shared[name] === undefined));
  if (!first || !hasAll || Object.keys(shared).length === 0) return describeParameters(rows);
  return [item(`Those of ${code(first.path)}, and:`), describeParameters(own)].join('\n').trim();
}

function countRoutes({ routes }: Dialect): string {
  const refused = routes.filter(isMissing).length;
  return `${routes.length - refused} routes answered${refused > 0 ? `, ${refused} refused` : ''}`;
}

/** Whether a route is answered, and what it does or lacks. @param usual the parameters of the dialect's first route */
function describeRoute(route: Route, usual: Rows): [string, string] {
  const { status, summary } = route;
  if (typeof status === 'object' && isMissing(route))
    return ['refused', `${summary}: needs ${titleOf(status.needs)}`];
  if (status === 'no-effect') return ['no effect', summary];
  const own = refusedNames(rowsOf(route)).filter((name) => usual[name]?.rule.kind !== 'needs');
  return own.length > 0 ? ['in part', `${summary}; not with ${list(own)}`] : ['answered', summary];
}

function refusedNames(rows: Rows): string[] {
  return Object.entries(rows).flatMap(([name, { rule }]) => (rule.kind === 'needs' ? [name] : []));
}

/** The rules of parameters with the reasons, a list item each; then those of the objects among them. */
function describeParameters(rows: Rows): string {
  const groups = new Map<string, string[]>();
  for (const [name, { rule }] of Object.entries(rows)) {
    const group = nameGroup(rule);
    groups.set(group, [...(groups.get(group) ?? []), name]);
  }
  const order = ['**Honoured', '**No effect', '**Refused', '**Used'];
  const rank = (group: string) => order.findIndex((start) => group.startsWith(start));
  const items = [...groups]
    .sort(([a], [b]) => rank(a) - rank(b))
    .map(([group, names]) => item(`${group}: ${list(names)}`));
  const inner = Object.entries(rows).flatMap(([name, { nested }]) =>
    nested ? [`\nFields of ${code(name)}:\n\n${describeParameters(nested)}`] : [],
  );
  return [...items, ...inner].join('\n');
}

function nameGroup(rule: ParameterRule): string {
  switch (rule.kind) {
    case 'honoured':
      return '**Honoured**';
    case 'no-effect':
      return `**No effect** (${rule.why})`;
    case 'needs':
      return `**Refused** (needs ${titleOf(rule.capability)})`;
    case 'part-of':
      return `**Used with** ${code(rule.parameter)}`;
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

/** Runs of the network in 20 steps, and the noise it takes besides. */
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
