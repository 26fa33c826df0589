import { describe, expect, it } from 'vitest';
import { pydantic1 } from '#api/fastapi.ts';
import { defineFields, validate } from '#api/fields.ts';
import {
  changesOf,
  honoured,
  needs,
  noEffect,
  param,
  parameters,
  partOf,
  requiredParam,
  screenParameters,
} from '#api/parameters.ts';

const f = defineFields(pydantic1);

const unit = parameters({
  weight: param(f.number({ min: 0 }), 1, honoured, 'How strong it is'),
  low_vram: param(f.boolean(), false, noEffect('memory is managed here'), 'Save memory'),
});

const request = parameters({
  image: requiredParam(f.string(), honoured, 'The image'),
  prompt: param(f.string(), '', honoured, 'What to generate'),
  checkpoint: param(f.string(), null, honoured, 'The model'),
  unit: param(unit, {}, honoured, 'A unit'),
  hypertile: param(f.boolean(), false, needs('hypertile'), 'Attention in tiles'),
  visibility: param(f.number(), 0.8, partOf('hypertile'), 'How much of them'),
  grid: param(f.boolean(), true, noEffect('there are no grids'), 'A grid'),
});

/** Names without effect in a request as it was sent. */
function withoutEffect(sent: Record<string, unknown>): string[] {
  const read = validate(request.schema, sent, 'body');
  return 'value' in read ? screenParameters(request, sent, read.value) : [];
}

describe('a row', () => {
  it('reads what was sent, and has its default otherwise, in the order of the rows', () => {
    const read = validate(request.schema, { prompt: null, image: 7, unknown: 1 }, 'body');
    expect(read).toEqual({
      value: {
        image: '7',
        prompt: '',
        checkpoint: null,
        unit: { weight: 1, low_vram: false },
        hypertile: false,
        visibility: 0.8,
        grid: true,
      },
    });
    expect('value' in read && Object.keys(read.value)).toEqual(Object.keys(request.rows));
  });

  it('says what is wrong and where', () => {
    expect(validate(request.schema, { unit: { weight: -1 } }, 'body')).toMatchObject({
      invalid: [
        { path: ['image'], rule: 'missing' },
        { path: ['unit', 'weight'], rule: 'min', requirement: 0, input: -1 },
      ],
    });
    expect(validate(request.schema, [1], 'body')).toMatchObject({ invalid: [{ path: [], rule: 'object' }] });
  });

  it('cannot have a default that its own field refuses', () => {
    expect(() => param(f.number(), 'many', honoured, 'A number')).toThrow();
  });
});

describe('screening', () => {
  it('names what is accepted only, what is unknown, and what is inside', () => {
    const sent = { image: 'x', grid: false, unit: { low_vram: 'yes', colour: 1 }, surprise: 1 };
    expect(withoutEffect(sent)).toEqual(['grid', 'unit.low_vram', 'unit.colour', 'surprise']);
  });

  it('names nothing that was sent with its default, or that is a detail', () => {
    expect(withoutEffect({ image: 'x', grid: 'yes', visibility: 0.5, hypertile: 'no' })).toEqual([]);
  });

  it('refuses what asks for a missing capability, by both names', () => {
    expect(() => withoutEffect({ image: 'x', hypertile: 'on' })).toThrow(
      "'hypertile' needs hypertile, which is not available here yet.",
    );
  });
});

it('a form can say which values count as not sent', () => {
  const form = parameters(
    {
      image: requiredParam(f.string(), honoured, 'The image'),
      tags: param(f.string(), 'a', honoured, 'Tags'),
    },
    { isAbsent: (value, name) => value === '' && name !== 'tags' },
  );
  expect(validate(form.schema, { image: '', tags: '' }, 'body')).toMatchObject({
    invalid: [{ path: ['image'], rule: 'missing' }],
  });
  expect(validate(form.schema, { image: 'x', tags: '' }, 'body')).toEqual({
    value: { image: 'x', tags: '' },
  });
});

it('changes have only what was sent', () => {
  const changes = changesOf(unit);
  expect(validate(changes.schema, { weight: '2' }, 'body')).toEqual({ value: { weight: 2 } });
  expect(validate(changes.schema, {}, 'body')).toEqual({ value: {} });
});
