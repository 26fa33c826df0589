import type { VisionWidths } from './model.ts';

/** The CLIP vision models that IP-Adapters were trained with, by what they make: OpenCLIP's, and OpenAI's ViT-L. */
const KNOWN: readonly (readonly [name: string, widths: Required<VisionWidths>])[] = [
  ['CLIP ViT-H/14', { embedding: 1024, patch: 1280 }],
  ['CLIP ViT-bigG/14', { embedding: 1280, patch: 1664 }],
  ['CLIP ViT-L/14', { embedding: 768, patch: 1024 }],
];

/** Whether an IP-Adapter can read what a CLIP vision model makes. */
export function fitsVisionModel(adapter: VisionWidths, encoder: VisionWidths): boolean {
  return adapter.embedding === undefined
    ? adapter.patch !== undefined && adapter.patch === encoder.patch
    : adapter.embedding === encoder.embedding;
}

/** The CLIP vision model that an IP-Adapter needs, for people: `CLIP ViT-H/14`. */
export function neededVisionModel(adapter: VisionWidths): string {
  const known = KNOWN.find(([, widths]) => fitsVisionModel(adapter, widths));
  if (known) return known[0];
  const width = adapter.embedding ?? adapter.patch;
  return width === undefined ? 'its CLIP vision model' : `a CLIP vision model of width ${width}`;
}
