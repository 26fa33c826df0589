/**
 * `npm run fit-preview <folder>`: fits the built-in model's preview map for src/protocol/families.ts, by least squares, to a
 * folder of PNG images, best those that the model generated. Each is cut to multiples of the latent cells, encoded and decoded;
 * the map leads from the latents to the mean colour of each cell of the decoded image. It prints the map and the error it leaves.
 */
import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { decodePng } from '#codecs/png.ts';
import { buildEmoji, readEmoji, type EmojiNetwork } from '../support/emoji-weights.ts';
import { openGraph } from '../support/onnx-session.ts';

const CHANNELS = 16;
/** Pixels of a latent cell. */
const CELL = 16;

const [folder] = process.argv.slice(2);
if (folder === undefined) throw new Error('Which folder has the images?');

async function open(network: EmojiNetwork) {
  const weights = await readEmoji(network, 'float32');
  return openGraph(buildEmoji(network, weights), weights, {});
}
const encoder = await open('vae_encoder');
const decoder = await open('vae_decoder');

/** Latents of a cell with a 1 behind them, and its mean colour in −1 … 1. */
const cells: { latents: number[]; colour: number[] }[] = [];
for (const name of readdirSync(folder).filter((file) => file.endsWith('.png'))) {
  const { width, height, channels, data } = decodePng(readFileSync(path.join(folder, name)));
  const [columns, rows] = [Math.floor(width / CELL), Math.floor(height / CELL)];
  if (channels < 3 || columns === 0 || rows === 0) continue;
  const [right, bottom] = [columns * CELL, rows * CELL];
  const sample = Float32Array.from({ length: 3 * right * bottom }, (_, i) => {
    const [colour, pixel] = [Math.floor(i / (right * bottom)), i % (right * bottom)];
    const at = (Math.floor(pixel / right) * width + (pixel % right)) * channels;
    return ((data[at + colour] ?? 0) / 255) * 2 - 1;
  });
  const encoded = await encoder.run({ sample: { data: sample, shape: [1, 3, bottom, right] } });
  const latents = encoded['latent_sample'];
  if (!latents) throw new Error('The encoder has no latents.');
  const { sample: image } = await decoder.run({ latent_sample: latents });
  for (let cell = 0; cell < rows * columns; cell++) {
    const [top, left] = [Math.floor(cell / columns) * CELL, (cell % columns) * CELL];
    const colour = [0, 1, 2].map((plane) => {
      let sum = 0;
      for (let y = top; y < top + CELL; y++)
        for (let x = left; x < left + CELL; x++)
          sum += Math.min(Math.max(image?.data[(plane * bottom + y) * right + x] ?? 0, -1), 1);
      return sum / CELL ** 2;
    });
    const own = Array.from({ length: CHANNELS }, (_, i) => latents.data[i * rows * columns + cell] ?? 0);
    cells.push({ latents: [...own, 1], colour });
  }
}

/** Solves the normal equations of one colour by Gauss's elimination. */
function fit(colour: number): number[] {
  const size = CHANNELS + 1;
  const rows = Array.from({ length: size }, (_, i) =>
    Array.from({ length: size + 1 }, (_, j) =>
      cells.reduce(
        (sum, cell) =>
          sum + (cell.latents[i] ?? 0) * (j < size ? (cell.latents[j] ?? 0) : (cell.colour[colour] ?? 0)),
        0,
      ),
    ),
  );
  for (const [pivot, row] of rows.entries()) {
    const lead = row[pivot] ?? 0;
    for (const [i, other] of rows.entries()) {
      const factor = i === pivot ? 0 : (other[pivot] ?? 0) / lead;
      if (factor !== 0) row.forEach((value, j) => (other[j] = (other[j] ?? 0) - factor * value));
    }
  }
  return rows.map((row, i) => (row[size] ?? 0) / (row[i] ?? 1));
}

const byColour = [0, 1, 2].map(fit);
const errors = byColour.map((map, colour) =>
  Math.sqrt(
    cells.reduce((sum, cell) => {
      const mapped = map.reduce((total, weight, i) => total + weight * (cell.latents[i] ?? 0), 0);
      return sum + (Math.min(Math.max(mapped, -1), 1) - (cell.colour[colour] ?? 0)) ** 2;
    }, 0) / cells.length,
  ),
);
for (let i = 0; i <= CHANNELS; i++) {
  const row = byColour.map((map) => (map[i] ?? 0).toFixed(4)).join(', ');
  console.log(i < CHANNELS ? `[${row}],` : `bias: [${row}],`);
}
const levels = errors.map((error) => (error * 127.5).toFixed(1)).join(', ');
console.log(`${cells.length} cells; root mean square error in levels of red, green, blue: ${levels}`);
await encoder.release();
await decoder.release();
