/** Numbers of an image or of latents, plane after plane, each in rows from the top. */
export interface Planes {
  channels: number;
  height: number;
  width: number;
  data: Float32Array;
}

/** Planes of zeros, or of one value. */
export function createPlanes(
  { channels, height, width }: Omit<Planes, 'data'>,
  value = 0,
): Planes & { data: Float32Array<ArrayBuffer> } {
  const data = new Float32Array(channels * height * width);
  return { channels, height, width, data: value === 0 ? data : data.fill(value) };
}
