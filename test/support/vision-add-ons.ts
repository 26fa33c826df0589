import type { AddOnInfo, ModelFamily, VisionWidths } from '#protocol/model.ts';
import { testAddOn } from './fake-host.ts';

/** An installed IP-Adapter or CLIP vision model of the tests. */
export function visionAddOn(
  kind: 'ip-adapter' | 'clip-vision',
  id: string,
  vision: VisionWidths,
  family: ModelFamily | null = null,
): AddOnInfo {
  const info = testAddOn(kind, id, { family });
  return { ...info, pack: { ...info.pack, vision } };
}
