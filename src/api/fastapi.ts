import type { Invalid } from './errors.ts';
import type { Coercion } from './fields.ts';
import type { Dialect } from './route.ts';

type FastApiParts = Pick<Dialect, 'bodyRule' | 'renderInvalid' | 'renderNotFound' | 'renderWrongMethod'>;

/** What pydantic says of a broken rule. */
interface Wording {
  type: string;
  msg: string;
  ctx?: Readonly<Record<string, unknown>>;
}

/** Rules by name; each words one that was broken. Sentences that are no rule's name are passed on. */
type Vocabulary = Readonly<Record<string, (invalid: Invalid) => Wording>>;

const BOOLEANS: ReadonlyMap<unknown, boolean> = new Map(
  Object.entries({
    true: ['1', 'on', 't', 'true', 'y', 'yes'],
    false: ['0', 'off', 'f', 'false', 'n', 'no'],
  }).flatMap(([meaning, words]) => words.map((word) => [word, meaning === 'true'] as const)),
);

function readBoolean(value: unknown): unknown {
  if (typeof value === 'number' || typeof value === 'string') {
    return BOOLEANS.get(String(value).toLowerCase()) ?? value;
  }
  return value;
}

function readNumber(value: unknown): unknown {
  if (typeof value === 'boolean' || typeof value === 'bigint') return Number(value);
  if (typeof value === 'string' && /^\s*[-+]?(\d+\.?\d*|\.\d+)(e[-+]?\d+)?\s*$/i.test(value))
    return Number(value);
  return value;
}

function readIntegerText(text: string): unknown {
  if (!/^\s*[-+]?\d+\s*$/.test(text)) return text;
  const integer = BigInt(text.trim().replace(/^\+/, ''));
  return Number.isSafeInteger(Number(integer)) ? Number(integer) : integer;
}

/** Python's text of a value that JSON can hold. */
function pythonText(value: unknown): string {
  if (typeof value === 'boolean') return value ? 'True' : 'False';
  return typeof value === 'string' ? `'${value}'` : String(value);
}

/** pydantic 1: floats are cut to integers, and numbers are good texts. */
export const pydantic1: Coercion = {
  integer: (value) => {
    if (typeof value === 'boolean') return Number(value);
    if (typeof value === 'number') return Math.trunc(value);
    return typeof value === 'string' ? readIntegerText(value) : value;
  },
  number: readNumber,
  boolean: readBoolean,
  string: (value) =>
    typeof value === 'number' || typeof value === 'bigint' || typeof value === 'boolean'
      ? pythonText(value)
      : value,
};

/** pydantic 2: only whole floats are integers, and only texts are texts. */
export const pydantic2: Coercion = {
  integer: (value) => {
    if (typeof value === 'boolean') return Number(value);
    return typeof value === 'string' ? readIntegerText(value.replace(/\.0+\s*$/, '')) : value;
  },
  number: readNumber,
  boolean: readBoolean,
  string: (value) => value,
};

const bound1 =
  (type: string, words: string) =>
  ({ requirement }: Invalid): Wording => ({
    type: `value_error.number.${type}`,
    msg: `ensure this value is ${words} ${String(requirement)}`,
    ctx: { limit_value: requirement },
  });

const type1 =
  (type: string, msg: string) =>
  ({ input }: Invalid): Wording =>
    input === null
      ? { type: 'type_error.none.not_allowed', msg: 'none is not an allowed value' }
      : { type: `type_error.${type}`, msg };

const vocabulary1: Vocabulary = {
  missing: () => ({ type: 'value_error.missing', msg: 'field required' }),
  json: ({ json }) => {
    const { message, position, text } = json ?? { message: '', position: 0, text: '' };
    const before = text.slice(0, position);
    const lineno = before.split('\n').length;
    const colno = position - before.lastIndexOf('\n');
    return {
      type: 'value_error.jsondecode',
      msg: `${message}: line ${lineno} column ${colno} (char ${position})`,
      ctx: { msg: message, doc: text, pos: position, lineno, colno },
    };
  },
  integer: type1('integer', 'value is not a valid integer'),
  number: type1('float', 'value is not a valid float'),
  boolean: type1('bool', 'value could not be parsed to a boolean'),
  string: type1('str', 'str type expected'),
  list: type1('list', 'value is not a valid list'),
  object: type1('dict', 'value is not a valid dict'),
  min: bound1('not_ge', 'greater than or equal to'),
  above: bound1('not_gt', 'greater than'),
  max: bound1('not_le', 'less than or equal to'),
  one_of: ({ input, requirement }) => {
    const permitted = Array.isArray(requirement) ? requirement : [];
    return {
      type: 'value_error.const',
      msg: `unexpected value; permitted: ${permitted.map(pythonText).join(', ')}`,
      ctx: { given: input, permitted },
    };
  },
};

const bound2 =
  (type: string, key: string, words: string) =>
  ({ requirement }: Invalid): Wording => ({
    type,
    msg: `Input should be ${words} ${String(requirement)}`,
    ctx: { [key]: requirement },
  });

/** pydantic 2 distinguishes text it cannot read from values of the wrong kind. */
const type2 =
  (name: string, thing: string) =>
  ({ input }: Invalid): Wording =>
    typeof input === 'string'
      ? {
          type: `${name}_parsing`,
          msg: `Input should be a valid ${thing}, unable to parse string as ${article(thing)}`,
        }
      : { type: `${name}_type`, msg: `Input should be a valid ${thing}` };

function article(noun: string): string {
  return `${/^[aeiou]/.test(noun) ? 'an' : 'a'} ${noun}`;
}

const integer2 = type2('int', 'integer');

const vocabulary2: Vocabulary = {
  missing: () => ({ type: 'missing', msg: 'Field required' }),
  json: ({ json }) => ({
    type: 'json_invalid',
    msg: 'JSON decode error',
    ctx: { error: json?.message ?? '' },
  }),
  integer: (invalid) =>
    typeof invalid.input === 'number'
      ? {
          type: 'int_from_float',
          msg: 'Input should be a valid integer, got a number with a fractional part',
        }
      : integer2(invalid),
  number: type2('float', 'number'),
  boolean: ({ input }) =>
    typeof input === 'string' || typeof input === 'number'
      ? { type: 'bool_parsing', msg: 'Input should be a valid boolean, unable to interpret input' }
      : { type: 'bool_type', msg: 'Input should be a valid boolean' },
  string: () => ({ type: 'string_type', msg: 'Input should be a valid string' }),
  list: () => ({ type: 'list_type', msg: 'Input should be a valid list' }),
  object: () => ({
    type: 'model_attributes_type',
    msg: 'Input should be a valid dictionary or object to extract fields from',
  }),
  min: bound2('greater_than_equal', 'ge', 'greater than or equal to'),
  above: bound2('greater_than', 'gt', 'greater than'),
  max: bound2('less_than_equal', 'le', 'less than or equal to'),
  one_of: ({ requirement }) => {
    const names = (Array.isArray(requirement) ? requirement : []).map(pythonText);
    const expected = [names.slice(0, -1).join(', '), names.at(-1)].filter(Boolean).join(' or ');
    return { type: 'enum', msg: `Input should be ${expected}`, ctx: { expected } };
  },
};

function word(vocabulary: Vocabulary, invalid: Invalid): Wording {
  return vocabulary[invalid.rule]?.(invalid) ?? { type: 'value_error', msg: invalid.rule };
}

const common: Omit<FastApiParts, 'renderInvalid'> = {
  bodyRule: 'fastapi',
  renderNotFound: () => ({ status: 404, body: { detail: 'Not Found' } }),
  renderWrongMethod: () => ({ status: 405, body: { detail: 'Method Not Allowed' } }),
};

/** FastAPI on pydantic 1, as A1111 runs it. */
export const fastApi1: FastApiParts = {
  ...common,
  renderInvalid: (invalids) => ({
    status: 422,
    body: {
      detail: invalids.map((invalid) => {
        const { type, msg, ctx } = word(vocabulary1, invalid);
        return { loc: [invalid.in, ...invalid.path], msg, type, ...(ctx && { ctx }) };
      }),
    },
  }),
};

/** FastAPI on pydantic 2, as Fooocus-API runs it: its handler repeats the body. */
export const fastApi2: FastApiParts = {
  ...common,
  renderInvalid: (invalids, received) => ({
    status: 422,
    body: {
      detail: invalids.map((invalid) => {
        const { type, msg, ctx } = word(vocabulary2, invalid);
        const input = invalid.rule === 'json' ? {} : (invalid.input ?? null);
        return { type, loc: [invalid.in, ...invalid.path], msg, input, ...(ctx && { ctx }) };
      }),
      body: invalids[0].json?.text ?? received ?? null,
    },
  }),
};
