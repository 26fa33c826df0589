import { pydantic1 } from '#api/fastapi.ts';
import { defineFields } from '#api/fields.ts';

/** Fields as A1111 reads them. */
export const f = defineFields(pydantic1);
