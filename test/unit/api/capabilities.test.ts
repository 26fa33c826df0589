import { describe, expect, it } from 'vitest';
import { dialects } from '#api/dialects/index.ts';
import { createApi } from '#api/index.ts';
import { screenParameters, titleOf, type Param, type Rows } from '#api/parameters.ts';
import type { Dialect } from '#api/route.ts';
import { CAPABILITIES, type Capability } from '#protocol/capabilities.ts';
import { createFakeHost } from '../../support/fake-host.ts';
import { post } from '../../support/http.ts';

/** Values as fields read them, one of which asks for whatever a parameter is for. */
const VALUES: readonly unknown[] = [
  true,
  1,
  'x',
  { base64: 'AAAA' },
  new Blob(['x']),
  ['x'],
  [{ cn_img: { base64: 'AAAA' } }],
  [{ cn_img: new Blob(['x']) }],
];

interface NamedRow {
  where: string;
  name: string;
  row: Param;
}

function rowsOf(where: string, rows: Rows): NamedRow[] {
  return Object.entries(rows).flatMap(([name, row]) => [
    { where, name, row },
    ...(row.nested ? rowsOf(`${where} ${name}`, row.nested) : []),
  ]);
}

function rowsOfDialect({ routes }: Dialect): NamedRow[] {
  return routes.flatMap(({ path, body, query }) =>
    [body, query].flatMap((shape) => (shape && 'rows' in shape ? rowsOf(path, shape.rows) : [])),
  );
}

const allRows = dialects.flatMap(rowsOfDialect);
const needing = allRows.flatMap((named) => {
  const { rule } = named.row;
  return rule.kind === 'needs' ? [{ ...named, rule }] : [];
});
const missingRoutes = dialects.flatMap(({ routes }) =>
  routes.flatMap(({ path, status }) => (typeof status === 'object' ? [{ path, needs: status.needs }] : [])),
);

/** What only a request as a whole can ask for. */
const BY_REQUEST: readonly { needs: Capability; path: string; body: object }[] = [
  {
    needs: 'hypertile',
    path: '/sdapi/v1/txt2img',
    body: { alwayson_scripts: { hypertile: { args: [true] } } },
  },
  {
    needs: 'image-embedding',
    path: '/sdapi/v1/txt2img',
    body: { alwayson_scripts: { controlnet: { args: [{ image: 'AAAA', ipadapter_input: ['AAAA'] }] } } },
  },
  {
    needs: 'extra-options',
    path: '/sdapi/v1/txt2img',
    body: { alwayson_scripts: { 'extra options': { args: [true] } } },
  },
  {
    needs: 'img2img-alternative',
    path: '/sdapi/v1/img2img',
    body: { init_images: ['AAAA'], script_name: 'img2img alternative test' },
  },
];

describe('a capability', () => {
  it.each(needing)('$name of $where is refused by the name of what is not built', ({ name, row, rule }) => {
    expect(CAPABILITIES[rule.capability].built).toBe(false);
    const asking = VALUES.find((value) => rule.asks(value));
    expect(asking).toBeDefined();
    const screen = () =>
      screenParameters(
        { rows: { [name]: row }, isAbsent: () => false },
        { [name]: asking },
        { [name]: asking },
      );
    expect(screen).toThrow(`'${name}' needs ${titleOf(rule.capability)}`);
  });

  it.each(missingRoutes)('$path needs what is not built', ({ needs }) => {
    expect(CAPABILITIES[needs].built).toBe(false);
  });

  it.each(BY_REQUEST)('$path is refused by name for $needs', async ({ needs, path, body }) => {
    const response = await post(createApi(createFakeHost()), path, body);
    expect(response.ok).toBe(false);
    expect(await response.text()).toContain(titleOf(needs));
  });

  it('that is not built is refused by some route, and none is listed that nobody can ask for', () => {
    const refused = new Set<string>([
      ...needing.map(({ rule }) => rule.capability),
      ...[...missingRoutes, ...BY_REQUEST].map(({ needs }) => needs),
    ]);
    // Quality settings are accepted without effect.
    const elsewhere = ['self-attention'];
    const missing = Object.entries(CAPABILITIES).flatMap(([name, { built }]) => (built ? [] : [name]));
    expect(missing.filter((name) => !refused.has(name) && !elsewhere.includes(name))).toEqual([]);
  });
});

it('details are details of parameters that there are', () => {
  for (const dialect of dialects) {
    const rows = rowsOfDialect(dialect);
    for (const { row } of rows) {
      const { rule } = row;
      if (rule.kind === 'part-of') expect(rows.map(({ name }) => name)).toContain(rule.parameter);
    }
  }
});

it('every parameter has a title', () => {
  expect(allRows.filter(({ row }) => row.title.trim() === '')).toEqual([]);
});
