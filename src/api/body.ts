import { parseJson } from '#codecs/json.ts';
import type { Invalid } from './errors.ts';
import { findJsonProblem } from './json-problem.ts';

/** Browsers add exactly this to a string body that is sent without a type. */
const ADDED_BY_BROWSERS = 'text/plain;charset=UTF-8';

/**
 * How a server takes JSON: FastAPI reads it as JSON when the Content-Type says so or is absent, and refuses
 * it otherwise; `lenient` servers never look.
 */
export type BodyRule = 'fastapi' | 'lenient';

/** A request's body as received. `undefined` is no body at all. */
export interface ReceivedBody {
  value: unknown;
  bytes: Uint8Array<ArrayBuffer>;
}

/** Reads a JSON body. */
export async function readJsonBody(
  request: Request,
  rule: BodyRule,
): Promise<ReceivedBody & { invalid?: Invalid }> {
  const bytes = new Uint8Array(await request.arrayBuffer());
  if (bytes.length === 0) return { value: undefined, bytes };
  const text = new TextDecoder().decode(bytes);
  if (rule === 'fastapi' && !namesJson(request.headers.get('Content-Type'))) return { value: text, bytes };
  try {
    return { value: parseJson(text), bytes };
  } catch {
    const json = findJsonProblem(text);
    return {
      value: undefined,
      bytes,
      invalid: { in: 'body', path: [json.position], rule: 'json', input: text, requirement: undefined, json },
    };
  }
}

function namesJson(contentType: string | null): boolean {
  if (contentType === null || contentType === ADDED_BY_BROWSERS) return true;
  return /^application\/([^/;]+\+)?json\s*(;|$)/i.test(contentType.trim());
}

/** Reads a multipart or urlencoded body; a field sent several times becomes a list. */
export async function readFormBody(request: Request): Promise<ReceivedBody> {
  const bytes = new Uint8Array(await request.clone().arrayBuffer());
  if (bytes.length === 0) return { value: {}, bytes };
  const form = await request.formData();
  const fields: Record<string, unknown> = {};
  for (const name of new Set(form.keys())) {
    const values = form.getAll(name);
    fields[name] = values.length === 1 ? values[0] : values;
  }
  return { value: fields, bytes };
}
