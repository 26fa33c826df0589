import type { Point } from './editor-view.svelte.ts';
import type { Layer } from './layers.ts';
import type { Area } from './mask-strokes.ts';

/** Pixels of the image: a layer's longer side is at least so long. */
const SMALLEST = 8;

/** A corner of an area: 0 is left or top, 1 right or bottom. */
interface Corner {
  x: 0 | 1;
  y: 0 | 1;
}

const CORNERS: readonly Corner[] = [
  { x: 0, y: 0 },
  { x: 1, y: 0 },
  { x: 0, y: 1 },
  { x: 1, y: 1 },
];

const placeOf = (corner: Corner, { x, y, width, height }: Area): Point => ({
  x: x + corner.x * width,
  y: y + corner.y * height,
});

/** Scales an area in its own proportions about a point of it, which stays where it is. */
export function scaleArea({ x, y, width, height }: Area, factor: number, about: Point): Area {
  const scale = Math.max(factor, SMALLEST / Math.max(width, height));
  return {
    x: about.x + (x - about.x) * scale,
    y: about.y + (y - about.y) * scale,
    width: width * scale,
    height: height * scale,
  };
}

/** The middle of an area. */
export function middleOf({ x, y, width, height }: Area): Point {
  return { x: x + width / 2, y: y + height / 2 };
}

/** A drag of a layer by its middle, which moves it, or by a corner, which scales it. Points are in pixels of the image. */
export class LayerDrag {
  readonly layer: Layer;
  readonly #from: Point;
  readonly #corner: Corner | undefined;

  private constructor(layer: Layer, from: Point, corner: Corner | undefined) {
    this.layer = layer;
    this.#from = from;
    this.#corner = corner;
  }

  /**
   * What begins at a point: the drag of the selected layer's corner, or of the uppermost layer there.
   * @param selected the id of the layer that shows its corners
   * @param reach how near a corner is near enough
   * @returns null beside all layers
   */
  static at(
    point: Point,
    layers: readonly Layer[],
    selected: string | null,
    reach: number,
  ): LayerDrag | null {
    const current = layers.find(({ id }) => id === selected);
    const corner =
      current &&
      CORNERS.find((each) => {
        const place = placeOf(each, current);
        return Math.hypot(point.x - place.x, point.y - place.y) <= reach;
      });
    if (current && corner) return new LayerDrag(current, point, corner);
    const under = layers.findLast(
      ({ x, y, width, height }) =>
        point.x >= x && point.y >= y && point.x <= x + width && point.y <= y + height,
    );
    return under ? new LayerDrag(under, point, undefined) : null;
  }

  /** Where the layer is with the pointer at a point. */
  to(point: Point): Area {
    const { x, y, width, height } = this.layer;
    const [byX, byY] = [point.x - this.#from.x, point.y - this.#from.y];
    if (!this.#corner) return { x: x + byX, y: y + byY, width, height };
    const opposite: Corner = { x: this.#corner.x === 0 ? 1 : 0, y: this.#corner.y === 0 ? 1 : 0 };
    const factor = Math.max(
      (width + byX * (2 * this.#corner.x - 1)) / width,
      (height + byY * (2 * this.#corner.y - 1)) / height,
    );
    return scaleArea(this.layer, factor, placeOf(opposite, this.layer));
  }
}
