import type { FinishedImage } from '#imaging/a1111/img2img-result.ts';
import type { UpscalePass } from '#imaging/a1111/upscaler.ts';
import type { Pixels, Region } from '#imaging/pixels.ts';
import type { Planes } from '#imaging/planes.ts';
import type { ImageInit, MaskedInit, Pass, Size } from '#protocol/job.ts';
import type { InitSource } from './read-init.ts';

export type { FinishedImage };

/** An init image and how to prepare it. */
export interface PrepareRequest {
  source: InitSource;
  init: ImageInit | MaskedInit;
  pass: Pick<Pass, 'size' | 'resizeTo'>;
  /** What makes images larger; null for the resizer of the rules. */
  upscaler: UpscalePass | null;
}

/** What of an init image goes into the networks, and how what they generate becomes the result. */
export interface PreparedInit {
  /** RGB for the VAE, as large as the pass unless its latents are stretched. */
  image: Pixels;
  /** Whether latents of another size than the pass's are stretched. */
  stretchesLatents: boolean;
  mask: PreparedMask | null;
  /** The part of the init image that it is, where that is not all. */
  region?: Region | null;
  /**
   * A generated image of the size of the pass as the result.
   * @param change what became of its latents, for soft inpainting
   */
  finish(generated: Pixels, change?: LatentChange): Promise<FinishedImage>;
}

/** Latents of one image before and after a pass. */
export interface LatentChange {
  /** One plane: 1 where it was generated again … 0 where it stayed. */
  mask: Planes;
  original: Planes;
  processed: Planes;
}

/** Where a pass generates. */
export interface PreparedMask {
  /** Grey, as large as the pass: what inpainting models are shown. */
  shown: Pixels;
  /** Whether of that only black and white count. */
  isRound: boolean;
  /** Of each latent cell: 1 where it is generated again … 0 where it stays. */
  cells(size: Size): Float32Array;
}

/** How init images are prepared by some rules. @throws AppError `invalid_request` for masks they cannot work with */
export type PrepareInit = (request: PrepareRequest) => Promise<PreparedInit>;
