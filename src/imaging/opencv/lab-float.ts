/** CIE 1931 coordinates of linear sRGB, by rows X, Y and Z, divided by those of D65. */
const RGB_TO_XYZ = [
  [0.412453 / 0.950456, 0.35758 / 0.950456, 0.180423 / 0.950456],
  [0.212671, 0.71516, 0.072169],
  [0.019334 / 1.088754, 0.119193 / 1.088754, 0.950227 / 1.088754],
] as const;

/** One in the table's values, and in colours that are looked up. */
const ONE = 2 ** 14;
/** Cells of the table along an axis, and the steps a cell is divided into. */
const CELLS = 32;
const STEPS = 16;
const POINTS = CELLS + 1;

/** Lab of a grid of colours, red first, made at the first call. */
let table: Int16Array | undefined;

/**
 * A colour in Lab. `cv2.cvtColor` with COLOR_RGB2LAB of float32 looks it up in a grid, interpolating at 16 places between
 * two points, and so does this. Source: OpenCV modules/imgproc/src/color_lab.cpp, `RGB2Lab_f`.
 * @param rgb 0…1
 * @returns L from 0 to 100, a and b
 */
export function labOf(rgb: readonly [number, number, number]): [lightness: number, a: number, b: number] {
  const grid = (table ??= makeTable());
  const places = rgb.map((value) =>
    Math.floor(Math.round(Math.min(Math.max(value, 0), 1) * ONE) / (ONE / CELLS / STEPS)),
  );
  const [x = 0, y = 0, z = 0] = places.map((place) => Math.min(Math.floor(place / STEPS), CELLS - 1));
  const [dx = 0, dy = 0, dz = 0] = places.map((place, axis) => place - STEPS * ([x, y, z][axis] ?? 0));
  let [l, a, b] = [0, 0, 0];
  for (let corner = 0; corner < 8; corner++) {
    const [right, lower, far] = [corner & 1, (corner >> 1) & 1, corner >> 2];
    const weight = (right ? dx : STEPS - dx) * (lower ? dy : STEPS - dy) * (far ? dz : STEPS - dz);
    const point = 3 * (x + right + POINTS * (y + lower + POINTS * (z + far)));
    l += weight * (grid[point] ?? 0);
    a += weight * (grid[point + 1] ?? 0);
    b += weight * (grid[point + 2] ?? 0);
  }
  const share = (sum: number) => Math.floor(sum / STEPS ** 3 + 0.5) / ONE;
  return [share(l) * 100, share(a) * 256 - 128, share(b) * 256 - 128];
}

function makeTable(): Int16Array {
  const grid = new Int16Array(3 * POINTS ** 3);
  const linear = Array.from({ length: POINTS }, (_, i) => toLinear(i / CELLS));
  for (let point = 0; point < POINTS ** 3; point++) {
    const red = linear[point % POINTS] ?? 0;
    const green = linear[Math.floor(point / POINTS) % POINTS] ?? 0;
    const blue = linear[Math.floor(point / POINTS ** 2)] ?? 0;
    const [x = 0, y = 0, z = 0] = RGB_TO_XYZ.map(([r, g, b]) => root(r * red + g * green + b * blue));
    const lab = [(116 * y - 16) / 100, (500 * (x - y) + 128) / 256, (200 * (y - z) + 128) / 256];
    grid.set(
      lab.map((value) => Math.round(ONE * value)),
      3 * point,
    );
  }
  return grid;
}

/** sRGB's transfer function. */
function toLinear(value: number): number {
  return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
}

/** The cube root, linear near black. */
function root(value: number): number {
  return value < 216 / 24389 ? (841 / 108) * value + 16 / 116 : Math.cbrt(value);
}
