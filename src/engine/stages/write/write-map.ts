import type { Stage } from '#engine/stages/run/context.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { MaskArtifact } from '#protocol/job.ts';
import { toPng } from './encode-image.ts';

/** What a job makes that makes no image. */
export interface WriteMapInput {
  pixels: Pixels;
  role: MaskArtifact['role'];
}

/** Hands over a mask or a map as a PNG file. */
export const writeMap: Stage<WriteMapInput, void> = (run, { pixels, role }) => {
  run.emit({ type: 'by-product', artifact: { kind: 'mask', of: 0, role, blob: toPng(pixels) } });
  run.progress.finished();
  return Promise.resolve();
};
