import type { KindRunner } from './reference.ts';
import { a1111HiresKinds } from './a1111-hires.ts';
import { a1111ImageKinds } from './a1111-images.ts';
import { a1111Img2imgKinds } from './a1111-img2img.ts';
import { a1111NumberKinds } from './a1111-numbers.ts';
import { a1111OutpaintKinds } from './a1111-outpaint.ts';
import { a1111SamplingKinds } from './a1111-sampling.ts';
import { a1111ScriptKinds } from './a1111-scripts.ts';
import { a1111SoftInpaintKinds } from './a1111-soft-inpaint.ts';

/** A1111's kinds. */
export const a1111Kinds: Readonly<Record<string, KindRunner>> = {
  ...a1111NumberKinds,
  ...a1111ImageKinds,
  ...a1111Img2imgKinds,
  ...a1111HiresKinds,
  ...a1111SamplingKinds,
  ...a1111ScriptKinds,
  ...a1111SoftInpaintKinds,
  ...a1111OutpaintKinds,
};
