import type { Attachment } from 'svelte/attachments';
import { toRgba } from '#imaging/pillow/convert.ts';
import type { Preview } from '#protocol/job.ts';

/** Draws a preview on a `<canvas>` of its size. */
export function drawnPreview(preview: Preview): Attachment<HTMLCanvasElement> {
  return (canvas) => {
    const { width, height } = preview;
    // To set them clears the canvas, and lays the page out again.
    if (canvas.width !== width || canvas.height !== height) Object.assign(canvas, { width, height });
    const { data } = toRgba({ ...preview, channels: 3 });
    canvas.getContext('2d')?.putImageData(new ImageData(data, width, height), 0, 0);
  };
}
