import { UNREPORTED_HEADER } from '#protocol/api-event.ts';
import { apiPath } from './examples.ts';

interface Endpoint {
  method: string;
  path: string;
  summary: string;
}

/** The endpoints of one dialect. */
export interface EndpointGroup {
  name: string;
  endpoints: Endpoint[];
}

/** What is read of an OpenAPI document. */
interface OpenApi {
  paths: Record<string, Record<string, { tags?: string[]; summary?: string }>>;
}

const METHODS = new Set(['get', 'post', 'put', 'delete', 'patch']);

/** The served endpoints by dialect, from the API's own description. @throws Error when the service worker does not answer */
export async function readEndpoints(): Promise<EndpointGroup[]> {
  const response = await fetch(apiPath('/openapi.json'), { headers: { [UNREPORTED_HEADER]: '1' } });
  if (!response.ok || !response.headers.get('Content-Type')?.includes('json')) {
    throw new Error('The service worker does not answer yet; reload this page.');
  }
  const { paths } = (await response.json()) as OpenApi;
  const groups = new Map<string, Endpoint[]>();
  for (const [path, operations] of Object.entries(paths)) {
    for (const [method, { tags, summary }] of Object.entries(operations)) {
      if (!METHODS.has(method)) continue;
      const name = tags?.[0] ?? 'Other';
      const endpoints = groups.get(name) ?? [];
      endpoints.push({ method: method.toUpperCase(), path, summary: summary ?? '' });
      groups.set(name, endpoints);
    }
  }
  return [...groups].map(([name, endpoints]) => ({ name, endpoints }));
}
