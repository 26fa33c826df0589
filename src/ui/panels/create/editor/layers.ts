import type { Size } from '#protocol/job.ts';
import type { Area, MaskOperation } from './mask-strokes.ts';

/** An image that lies over the one that is edited, until both are merged into the init image. */
export interface Layer extends Area {
  id: string;
  /** An image file. */
  blob: Blob;
  name: string;
}

/** What was done to the layers, in order. Areas are in pixels of the edited image. */
export type LayerOperation =
  | { kind: 'add-layer'; layer: Layer }
  | { kind: 'place-layer'; id: string; area: Area }
  | { kind: 'remove-layer'; id: string };

/** What was done to an image and its mask, in order; one history, so that undo takes back whatever came last. */
export type EditOperation = MaskOperation | LayerOperation;

/** Part of the image's sides that a new layer covers at most, so that its corners can be dragged. */
const LARGEST_NEW = 0.75;

/** The layers that operations leave, the lowest first. */
export function layersOf(operations: readonly EditOperation[]): Layer[] {
  const layers = new Map<string, Layer>();
  for (const operation of operations) {
    if (operation.kind === 'add-layer') layers.set(operation.layer.id, operation.layer);
    else if (operation.kind === 'remove-layer') layers.delete(operation.id);
    else if (operation.kind === 'place-layer') {
      const layer = layers.get(operation.id);
      if (layer) layers.set(layer.id, { ...layer, ...operation.area });
    }
  }
  return [...layers.values()];
}

/** Where a new layer goes: in the middle, at its own size unless that is too large for the image. */
export function firstPlace(image: Size, layer: Size): Area {
  const scale = Math.min(
    1,
    (LARGEST_NEW * image.width) / layer.width,
    (LARGEST_NEW * image.height) / layer.height,
  );
  const [width, height] = [layer.width * scale, layer.height * scale];
  return { x: (image.width - width) / 2, y: (image.height - height) / 2, width, height };
}

async function drawLayer(
  context: OffscreenCanvasRenderingContext2D | null,
  { blob, x, y, width, height }: Area & { blob: Blob },
): Promise<void> {
  const bitmap = await createImageBitmap(blob);
  context?.drawImage(bitmap, x, y, width, height);
  bitmap.close();
}

/** An image with its layers, at its own size; what lies outside of it is cut off. */
export async function flatten(
  { blob, width, height }: Size & { blob: Blob },
  layers: readonly Layer[],
): Promise<OffscreenCanvas> {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (context) context.imageSmoothingQuality = 'high';
  for (const layer of [{ blob, x: 0, y: 0, width, height }, ...layers]) await drawLayer(context, layer);
  return canvas;
}

/** The shape of a layer as a mask: an opaque PNG file of the image's size, white where the layer is. */
export async function maskOfLayer({ width, height }: Size, layer: Layer): Promise<Blob> {
  const canvas = new OffscreenCanvas(width, height);
  const context = canvas.getContext('2d');
  if (context) {
    await drawLayer(context, layer);
    context.globalCompositeOperation = 'source-in';
    context.fillStyle = '#fff';
    context.fillRect(0, 0, width, height);
    context.globalCompositeOperation = 'destination-over';
    context.fillStyle = '#000';
    context.fillRect(0, 0, width, height);
  }
  return canvas.convertToBlob();
}
