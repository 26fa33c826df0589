import { createPixels, type Pixels } from '#imaging/pixels.ts';
import type { Planes } from '#imaging/planes.ts';
import { growBox, type Box } from './box.ts';

/** A connected part of a mask. */
export interface Island {
  box: Box;
  /** Pixels above the threshold. */
  area: number;
  /** 0 … 1: the mean of these pixels. */
  score: number;
  /** Grey, as large as the whole mask: 0 … 255 within the island, black elsewhere. */
  mask: Pixels;
}

/**
 * The connected parts of a soft mask, the largest first. Pixels that touch at a corner only are not connected.
 * @param mask one channel, 0 … 1
 * @param threshold what a pixel has to be above
 * @param leastShare islands of a smaller share of the image are left out
 */
export function islandsOf({ width, height, data }: Planes, threshold = 0.5, leastShare = 0.001): Island[] {
  const visited = new Uint8Array(width * height);
  const islands: Island[] = [];
  for (let start = 0; start < visited.length; start++) {
    if (visited[start] || !((data[start] ?? 0) > threshold)) continue;
    const members = collect(start);
    if (members.length >= leastShare * visited.length) islands.push(describe(members));
  }
  return islands.sort((a, b) => b.area - a.area);

  function collect(start: number): number[] {
    const members = [start];
    visited[start] = 1;
    // Grows while it is read.
    for (const index of members) {
      const x = index % width;
      for (const next of [
        x > 0 ? index - 1 : -1,
        x < width - 1 ? index + 1 : -1,
        index - width,
        index + width,
      ]) {
        if (next < 0 || next >= visited.length || visited[next] || !((data[next] ?? 0) > threshold)) continue;
        visited[next] = 1;
        members.push(next);
      }
    }
    return members;
  }

  function describe(members: readonly number[]): Island {
    const mask = createPixels({ width, height }, 1);
    const box = { left: width, top: height, right: 0, bottom: 0 };
    let sum = 0;
    for (const index of members) {
      growBox(box, index % width, Math.floor(index / width));
      sum += data[index] ?? 0;
      mask.data[index] = (data[index] ?? 0) * 255;
    }
    return { box, area: members.length, score: sum / members.length, mask };
  }
}
