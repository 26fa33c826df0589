import { toJsonSchema } from '@valibot/to-json-schema';
import type { GenericSchema } from 'valibot';
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

function pathParameters(path: string): JsonObject[] {
  return [...path.matchAll(/:(\w+)/g)].map(([, name]) => ({
    name,
    in: 'path',
    required: true,
    schema: { type: 'string' },
  }));
}

function queryParameters(query: GenericSchema | undefined): JsonObject[] {
  if (!query) return [];
  const { properties, required } = schemaObject(query);
  const names = Array.isArray(required) ? required : [];
  return Object.entries(properties ?? {}).map(([name, schema]) => ({
    name,
    in: 'query',
    required: names.includes(name),
    schema: schema as JsonObject,
  }));
}

function operation(dialect: Dialect, route: Route): JsonObject {
  const parameters = [...pathParameters(route.path), ...queryParameters(route.query)];
  const bodyType = route.encoding === 'form' ? 'multipart/form-data' : 'application/json';
  return {
    tags: [dialect.title],
    summary: route.summary,
    operationId: `${dialect.name} ${route.method} ${route.path}`.toLowerCase().replace(/[^a-z0-9]+/g, '_'),
    ...(parameters.length > 0 && { parameters }),
    ...(route.body && {
      requestBody: {
        required: route.bodyOptional !== true,
        content: { [bodyType]: { schema: schemaObject(route.body) } },
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

/** The OpenAPI 3.1 document of what is served, from the very tables that serve it. */
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
