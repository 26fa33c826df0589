import type { Pixels } from '#imaging/pixels.ts';
import type { Planes } from '#imaging/planes.ts';
import type { PreparedMask } from './prepared.ts';

/** What one image of a pass starts from where it does not start from noise. */
export interface PassSource {
  /** RGB to be encoded, or latents at the scale of the UNet. */
  content: { kind: 'pixels'; pixels: Pixels } | { kind: 'latents'; latents: Planes };
  /** How latents of another size are brought to that of the pass: stretched, or cut around the middle. */
  fit: 'stretch' | 'cut';
  mask: PreparedMask | null;
}
