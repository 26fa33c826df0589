import type { Field } from '#api/fields.ts';
import * as v from 'valibot';
import { fields } from './fields.ts';

/** An image as sent: a file of a form, or in JSON its bytes in base64 or its URL. */
export type SentImage = Blob | string;

const NO_IMAGE = ['', 'None', 'none', 'null', 'string'];

/** An image in a JSON string: base64 without blanks, or a URL; null if there is none. */
export const jsonImage: Field<string | null> = v.pipe(
  fields.string(),
  v.rawTransform(({ dataset, addIssue, NEVER }): string | null => {
    const text = dataset.value;
    if (NO_IMAGE.includes(text)) return null;
    if (/^https?:/i.test(text)) return text;
    const base64 = text.replace(/^data:image[^,]*,/, '').replace(/\s+/g, '');
    if (/^[A-Za-z0-9+/]+={0,2}$/.test(base64)) return base64;
    addIssue({ message: 'Value error, should be an image in base64' });
    return NEVER;
  }),
);

/** A file part of a form; one without a name counts as absent. */
export const formImage: Field<Blob | null> = v.pipe(
  v.unknown(),
  v.transform((value) => (value instanceof File && value.name === '' && value.size === 0 ? null : value)),
  v.nullable(v.instance(Blob, "Value error, Expected UploadFile, received: <class 'str'>")),
);

/** A file part that has to be sent. */
export const requiredFormImage: Field<Blob> = v.pipe(formImage, v.instance(Blob, 'missing'));
