import { createPixels, type Pixels } from '#imaging/pixels.ts';
import { roundHalfToEven } from '#imaging/round.ts';

/** Fixed-point digits of the matrix, of linear light, and of the roots. */
const [MATRIX_BITS, LIGHT_BITS] = [12, 3];
const ROOT_BITS = MATRIX_BITS + LIGHT_BITS;
const ROOT_ONE = 2 ** ROOT_BITS;

/** Linear sRGB to X, Y and Z under D65, each divided by its white. */
const TO_XYZ = [
  [0.412453 / 0.950456, 0.35758 / 0.950456, 0.180423 / 0.950456],
  [0.212671, 0.71516, 0.072169],
  [0.019334 / 1.088754, 0.119193 / 1.088754, 0.950227 / 1.088754],
] as const;

/** Row by row. */
const FIXED_TO_XYZ = Int32Array.from(TO_XYZ.flat(), (weight) => roundHalfToEven(weight * 2 ** MATRIX_BITS));

const LINEAR = Uint16Array.from({ length: 256 }, (_, sample) =>
  roundHalfToEven(255 * 2 ** LIGHT_BITS * toLinear(sample / 255)),
);

const ROOTS = Uint16Array.from({ length: 256 * 1.5 * 2 ** LIGHT_BITS }, (_, light) => {
  const x = light / (255 * 2 ** LIGHT_BITS);
  return roundHalfToEven(ROOT_ONE * (x < 0.008856 ? x * 7.787 + 16 / 116 : Math.cbrt(x)));
});

const L_SCALE = Math.trunc((116 * 255 + 50) / 100);
const L_SHIFT = -Math.trunc((16 * 255 * ROOT_ONE + 50) / 100);

/**
 * RGB to Lab in 8 bits: L times 2.55, a and b plus 128. `cv2.cvtColor(…, COLOR_RGB2LAB)` to the bit.
 * Source: OpenCV modules/imgproc/src/color_lab.cpp, `RGB2Lab_b`.
 */
export function rgbToLab(pixels: Pixels): Pixels {
  const lab = createPixels(pixels, 3);
  for (let i = 0; i < pixels.data.length; i += 3) {
    const red = LINEAR[pixels.data[i] ?? 0] ?? 0;
    const green = LINEAR[pixels.data[i + 1] ?? 0] ?? 0;
    const blue = LINEAR[pixels.data[i + 2] ?? 0] ?? 0;
    const [fx, fy, fz] = [
      rootOf(0, red, green, blue),
      rootOf(3, red, green, blue),
      rootOf(6, red, green, blue),
    ];
    lab.data[i] = descale(L_SCALE * fy + L_SHIFT, ROOT_BITS);
    lab.data[i + 1] = descale(500 * (fx - fy) + 128 * ROOT_ONE, ROOT_BITS);
    lab.data[i + 2] = descale(200 * (fy - fz) + 128 * ROOT_ONE, ROOT_BITS);
  }
  return lab;
}

/**
 * The way back from {@link rgbToLab}. OpenCV has tables for it that differ from these formulas by 1 of 255 here and
 * there. Source: color_lab.cpp, `Lab2RGBfloat`.
 */
export function labToRgb(lab: Pixels): Pixels {
  const rgb = createPixels(lab, 3);
  for (let i = 0; i < lab.data.length; i += 3) {
    const lightness = ((lab.data[i] ?? 0) * 100) / 255;
    const fy = lightness > 8 ? (lightness + 16) / 116 : (lightness / 903.3) * 7.787 + 16 / 116;
    const y = lightness > 8 ? fy ** 3 : lightness / 903.3;
    const x = fromRoot(fy + ((lab.data[i + 1] ?? 0) - 128) / 500) * 0.950456;
    const z = fromRoot(fy - ((lab.data[i + 2] ?? 0) - 128) / 200) * 1.088754;
    rgb.data[i] = 255 * fromLinear(3.240479 * x - 1.53715 * y - 0.498535 * z);
    rgb.data[i + 1] = 255 * fromLinear(-0.969256 * x + 1.875991 * y + 0.041556 * z);
    rgb.data[i + 2] = 255 * fromLinear(0.055648 * x - 0.204043 * y + 1.057311 * z);
  }
  return rgb;
}

/** The root of X, Y or Z, whose weights are those from `row` on. */
function rootOf(row: number, red: number, green: number, blue: number): number {
  const [r, g, b] = [FIXED_TO_XYZ[row] ?? 0, FIXED_TO_XYZ[row + 1] ?? 0, FIXED_TO_XYZ[row + 2] ?? 0];
  return ROOTS[descale(red * r + green * g + blue * b, MATRIX_BITS)] ?? 0;
}

/** Divided by a power of two, rounded. */
function descale(value: number, bits: number): number {
  return Math.floor((value + 2 ** (bits - 1)) / 2 ** bits);
}

function fromRoot(root: number): number {
  return root > 0.206893 ? root ** 3 : (root - 16 / 116) / 7.787;
}

function toLinear(sample: number): number {
  return sample <= 0.04045 ? sample / 12.92 : ((sample + 0.055) / 1.055) ** 2.4;
}

function fromLinear(light: number): number {
  const clamped = Math.min(Math.max(light, 0), 1);
  return clamped <= 0.0031308 ? clamped * 12.92 : 1.055 * clamped ** (1 / 2.4) - 0.055;
}
