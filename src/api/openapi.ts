import { toJsonSchema } from '@valibot/to-json-schema';
import { isRecord } from '#codecs/json.ts';
import type { GenericSchema } from 'valibot';
import { titleOf, type ParameterRule, type Rows } from './parameters.ts';
import type { Dialect, Route } from './route.ts';

type JsonObject = Record<string, unknown>;

function schemaObject(schema: GenericSchema): JsonObject {
  const described: JsonObject = {
    ...toJsonSchema(schema, {
      target: 'draft-2020-12',
      // Fields read anything and coerce it; what they are meant to be is the end of their pipe.
      typeMode: 'output',
      errorMode: 'ignore',
      overrideSchema: ({ valibotSchema }) => (valibotSchema.type === 'bigint' ? { type: 'integer' } : null),
    }),
  };
  // The document says once which JSON Schema it speaks.
  delete described['$schema'];
  return described;
}

type Shape = NonNullable<Route['body']>;

/** A schema of a body or a query, with the text of its rows where it has any. */
function shapeObject(shape: Shape): JsonObject {
  return 'rows' in shape ? describeRows(schemaObject(shape.schema), shape.rows) : schemaObject(shape);
}

function describeRows(schema: JsonObject, rows: Rows): JsonObject {
  const { properties } = schema;
  if (!isRecord(properties)) return schema;
  const described = Object.entries(properties).map(([name, own]) => {
    const row = rows[name];
    if (!row || !isRecord(own)) return [name, own];
    const property = row.nested ? describeNested(own, row.nested) : own;
    return [name, { ...property, description: [row.title, ...sayRule(row.rule)].join('. ') }];
  });
  return { ...schema, properties: Object.fromEntries(described) as JsonObject };
}

/** An optional object is one of several things. */
function describeNested(schema: JsonObject, rows: Rows): JsonObject {
  const { anyOf } = schema;
  if (!Array.isArray(anyOf)) return describeRows(schema, rows);
  return {
    ...schema,
    anyOf: anyOf.map((choice: unknown) => (isRecord(choice) ? describeRows(choice, rows) : choice)),
  };
}

function sayRule(rule: ParameterRule): string[] {
  switch (rule.kind) {
    case 'honoured':
      return [];
    case 'no-effect':
      return [`No effect here: ${rule.why}`];
    case 'needs':
      return [`Refused: needs ${titleOf(rule.capability)}, which is not available yet`];
    case 'part-of':
      return [`Used with ${rule.parameter}`];
  }
}

/** What a route lacks, or that it does nothing. */
function describeStatus(status: Route['status']): string | null {
  if (status === 'ok') return null;
  return status === 'no-effect'
    ? 'Accepted without effect'
    : `Not available yet: needs ${titleOf(status.needs)}`;
}

function pathParameters(path: string): JsonObject[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters(query: Route['query']): JsonObject[] {
  if (!query) return [];
  const { properties, required } = shapeObject(query);
  const names = Array.isArray(required) ? required : [];
  return Object.entries(isRecord(properties) ? properties : {}).map(([name, schema]) => ({
    name,
    in: 'query',
    required: names.includes(name),
    schema: schema as JsonObject,
  }));
}

function operation(dialect: Dialect, route: Route): JsonObject {
  const parameters = [...pathParameters(route.path), ...queryParameters(route.query)];
  const bodyType = route.encoding === 'form' ? 'multipart/form-data' : 'application/json';
  const status = describeStatus(route.status);
  return {
    tags: [dialect.title],
    summary: route.summary,
    ...(status !== null && { description: status }),
    'x-vitrine-status': route.status,
    operationId: `${dialect.name} ${route.method} ${route.path}`.toLowerCase().replace(/[^a-z0-9]+/g, '_'),
    ...(parameters.length > 0 && { parameters }),
    ...(route.body && {
      requestBody: {
        required: route.bodyOptional !== true,
        content: { [bodyType]: { schema: shapeObject(route.body) } },
      },
    }),
    responses: {
      200: {
        description: 'Success',
        content: { 'application/json': { schema: route.answer ? schemaObject(route.answer) : {} } },
      },
      default: { description: "An error in the dialect's own shape", content: { 'application/json': {} } },
    },
  };
}

/** The OpenAPI 3.1 document of the routes, from the tables that serve them. */
export function describeApi(dialects: readonly Dialect[], serverUrl: string): JsonObject {
  const paths: Record<string, JsonObject> = {};
  for (const dialect of dialects) {
    for (const route of dialect.routes) {
      const path = route.path.replace(/:(\w+)/g, '{$1}');
      (paths[path] ??= {})[route.method.toLowerCase()] ??= operation(dialect, route);
    }
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'Vitrine',
      version: '1',
      description: 'Stable Diffusion in a browser tab. Each dialect is also served under its own prefix.',
    },
    servers: [{ url: serverUrl }],
    tags: dialects.map((dialect) => ({
      name: dialect.title,
      ...(dialect.prefix !== null && { description: `Also under ${dialect.prefix}/` }),
    })),
    paths,
  };
}
