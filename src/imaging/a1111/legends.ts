import type { LegendPart } from './scripts/prompt-matrix.ts';
import { toRgb } from '#imaging/pillow/convert.ts';
import { crop, filled, pasteInto } from '#imaging/pillow/paste.ts';
import type { Pixels } from '#imaging/pixels.ts';
import type { Size } from '#protocol/job.ts';

/** How a grid with legends looks. */
export interface LegendStyle {
  /** Pixels between two cells. */
  margin: number;
  background: readonly [red: number, green: number, blue: number];
  /** `#rrggbb` of texts, and of those that are crossed out. */
  active: string;
  inactive: string;
}

/** Lines of text above each column and before each row. */
export interface Legends {
  columns: readonly (readonly LegendPart[])[];
  rows: readonly (readonly LegendPart[])[];
}

/** A line of the legend, with the size of its text. */
interface Line extends LegendPart, Size {}

/** Lines of a column or row. */
interface Block {
  lines: readonly Line[];
  /** The widest that a line may be. */
  room: number;
}

/** Pixels of the line through a part that is not in the prompt. */
const STRIKE = 4;

/** Whether text can be written here. */
export function canWriteText(): boolean {
  return typeof OffscreenCanvas !== 'undefined';
}

/**
 * A grid with margins between its cells and its legends. Sizes and places are A1111's (modules/images.py,
 * `draw_grid_annotations`); the letters are those of the browser's sans-serif.
 * @param cell size of the grid's cells
 */
export function withLegends(
  grid: Pixels,
  cell: Size,
  { columns, rows }: Legends,
  style: LegendStyle,
): Pixels {
  const { margin } = style;
  const isBlank = ![...columns, ...rows].flat().some(({ text }) => text !== '');
  const writer = isBlank || !canWriteText() ? null : new TextWriter(cell, style);
  const hasRowTexts = rows.flat().some(({ text }) => text !== '');
  const left = writer && hasRowTexts ? Math.floor((cell.width * 3) / 4) : 0;
  const above = writer ? columns.map((parts) => writer.layOut(parts, cell.width)) : [];
  const before = writer ? rows.map((parts) => writer.layOut(parts, left)) : [];
  const top = writer ? writer.heightAbove(above) : 0;
  const [step, down] = [cell.width + margin, cell.height + margin];
  const size = {
    width: grid.width + left + margin * (columns.length - 1),
    height: grid.height + top + margin * (rows.length - 1),
  };
  const result =
    writer?.write(size, [
      ...above.map((block, i) => ({ block, x: left + step * i + cell.width / 2, y: top / 2 })),
      ...before.map((block, i) => ({ block, x: left / 2, y: top + down * i + cell.height / 2 })),
    ]) ?? filled(size, style.background);
  for (const row of rows.keys()) {
    for (const column of columns.keys()) {
      const [x, y] = [cell.width * column, cell.height * row];
      const tile = crop(grid, { x1: x, y1: y, x2: x + cell.width, y2: y + cell.height });
      pasteInto(result, tile, { x: left + step * column, y: top + down * row });
    }
  }
  return result;
}

/** Measures and writes the texts of one grid. */
class TextWriter {
  readonly #fontSize: number;
  readonly #ruler: OffscreenCanvasRenderingContext2D;
  readonly #style: LegendStyle;

  constructor({ width, height }: Size, style: LegendStyle) {
    this.#style = style;
    this.#fontSize = Math.max(Math.floor((width + height) / 25), 1);
    this.#ruler = contextOf({ width: 1, height: 1 });
  }

  get #spacing(): number {
    return Math.floor(this.#fontSize / 2);
  }

  /** Texts broken between words, where they are wider than there is room. */
  layOut(parts: readonly LegendPart[], room: number): Block {
    const lines = parts.flatMap(({ text, active }) =>
      this.#wrap(text, room).map((line) => ({ text: line, active, ...this.#measure(line, this.#fontSize) })),
    );
    return { lines, room };
  }

  /** Room above the cells for blocks of text: none where all are blank. */
  heightAbove(blocks: readonly Block[]): number {
    const tallest = Math.max(...blocks.map((block) => this.#heightOf(block)));
    return tallest > 0 ? Math.ceil(tallest) + this.#spacing * 2 : 0;
  }

  /** An image with blocks of text around their middles. */
  write(size: Size, blocks: readonly { block: Block; x: number; y: number }[]): Pixels {
    const context = contextOf(size);
    context.fillStyle = `rgb(${this.#style.background.join(' ')})`;
    context.fillRect(0, 0, size.width, size.height);
    context.textAlign = 'center';
    context.textBaseline = 'middle';
    context.lineWidth = STRIKE;
    for (const { block, x, y } of blocks) {
      let top = y - this.#heightOf(block) / 2;
      for (const line of block.lines) {
        this.#writeLine(context, line, block.room, x, top + line.height / 2);
        top += line.height + this.#spacing;
      }
    }
    const { data } = context.getImageData(0, 0, size.width, size.height);
    return toRgb({ ...size, channels: 4, data: new Uint8ClampedArray(data) });
  }

  #writeLine(
    context: OffscreenCanvasRenderingContext2D,
    { text, active, width }: Line,
    room: number,
    x: number,
    y: number,
  ): void {
    let fontSize = this.#fontSize;
    while (fontSize > 1 && this.#measure(text, fontSize).width > room) fontSize -= 1;
    context.font = fontOf(fontSize);
    context.fillStyle = active ? this.#style.active : this.#style.inactive;
    context.fillText(text, x, y);
    if (active) return;
    context.strokeStyle = this.#style.inactive;
    context.beginPath();
    context.moveTo(x - width / 2, y);
    context.lineTo(x + width / 2, y);
    context.stroke();
  }

  #heightOf({ lines }: Block): number {
    const heights = lines.reduce((sum, { height }) => sum + height + this.#spacing, 0);
    return lines.every(({ text }) => text === '') ? 0 : heights - this.#spacing;
  }

  #wrap(text: string, room: number): string[] {
    const lines = [''];
    for (const word of text.split(/\s+/)) {
      const longer = `${lines.at(-1) ?? ''} ${word}`.trim();
      if (this.#measure(longer, this.#fontSize).width <= room) lines[lines.length - 1] = longer;
      else lines.push(word);
    }
    return lines;
  }

  #measure(text: string, fontSize: number): Size {
    this.#ruler.font = fontOf(fontSize);
    const { width, actualBoundingBoxAscent, actualBoundingBoxDescent } = this.#ruler.measureText(text);
    return { width, height: actualBoundingBoxAscent + actualBoundingBoxDescent };
  }
}

function fontOf(pixels: number): string {
  return `${pixels}px sans-serif`;
}

/** @throws RangeError if there is no memory for the pixels */
function contextOf({ width, height }: Size): OffscreenCanvasRenderingContext2D {
  const context = new OffscreenCanvas(width, height).getContext('2d', { willReadFrequently: true });
  if (!context) throw new RangeError('There is no memory for the legend of the grid.');
  return context;
}
