import { transform2d, type Complex } from '#imaging/fft.ts';
import { matchDistribution } from '#imaging/match-histograms.ts';
import { defaultRngUniform } from '#imaging/pcg64.ts';
import { createPixels, type Pixels } from '#imaging/pixels.ts';

/**
 * Fills the masked part of an image with noise that has the frequencies and colours of the rest.
 * Source: A1111 scripts/outpainting_mk_2.py, `get_matched_noise`.
 * @param image RGB
 * @param mask grey, 255 where the noise goes
 * @param exponent how fast the noise falls off with its frequency; lower has more detail
 * @param colourVariation 0 for grey noise … 1
 */
export function matchedNoise(image: Pixels, mask: Pixels, exponent: number, colourVariation: number): Pixels {
  const { width, height } = image;
  const area = width * height;
  const shares = Float64Array.from(mask.data, (sample) => sample / 255);
  const noise = startingNoise(area, colourVariation);
  const shaped = shapeNoise(windowed(image, shares), noise, { width, height, exponent });
  stretchToUnit(shaped);
  const result = createPixels(image, 3);
  for (const [channel, plane] of shaped.entries()) {
    const colours = everyThird(image.data, channel);
    const target = colours.filter((_, i) => (shares[i] ?? 0) < 1e-3);
    const masked = plane.filter((_, i) => (shares[i] ?? 0) > 1e-6);
    const matched = target.length > 0 ? matchDistribution(masked, target) : masked;
    let next = 0;
    for (let i = 0; i < area; i++) {
      const share = shares[i] ?? 0;
      const value = share > 1e-6 ? (matched[next++] ?? 0) : (plane[i] ?? 0);
      const mixed = (colours[i] ?? 0) * (1 - share) + value * share;
      result.data[i * 3 + channel] = Math.trunc(Math.min(Math.max(mixed, 0), 1) * 255);
    }
  }
  return result;
}

/** One channel in 0…1. */
function everyThird(data: Uint8ClampedArray, channel: number): Float64Array {
  return Float64Array.from({ length: data.length / 3 }, (_, i) => (data[i * 3 + channel] ?? 0) / 255);
}

/** The three channels without their masked part, stretched to reach 1; the masked part is the image's mean brightness. */
function windowed(image: Pixels, shares: Float64Array): Float64Array[] {
  const planes = [0, 1, 2].map((channel) => everyThird(image.data, channel));
  const mean = planes.reduce((sum, plane) => sum + plane.reduce((a, b) => a + b, 0), 0) / (3 * shares.length);
  const visible = planes.map((plane) => plane.map((value, i) => value * (1 - (shares[i] ?? 0))));
  const highest = largest(visible) || 1;
  return visible.map((plane) => plane.map((value, i) => value / highest + mean * (shares[i] ?? 0)));
}

function largest(planes: readonly Float64Array[]): number {
  return planes.reduce((found, plane) => plane.reduce((a, b) => Math.max(a, b), found), -Infinity);
}

/** Uniform noise of numpy's generator with seed 0, more or less grey. */
function startingNoise(area: number, colourVariation: number): Float64Array[] {
  const numbers = defaultRngUniform(area * 3);
  return [0, 1, 2].map((channel) =>
    Float64Array.from({ length: area }, (_, i) => {
      const grey = ((numbers[i * 3] ?? 0) + (numbers[i * 3 + 1] ?? 0) + (numbers[i * 3 + 2] ?? 0)) / 3;
      return (numbers[i * 3 + channel] ?? 0) * colourVariation + (1 - colourVariation) * grey;
    }),
  );
}

interface Shape {
  width: number;
  height: number;
  exponent: number;
}

/** Gives noise the frequencies and phases of an image. */
function shapeNoise(
  image: readonly Float64Array[],
  noise: readonly Float64Array[],
  { width, height, exponent }: Shape,
): Float64Array[] {
  const falloff = noiseWindow(width, height);
  return image.map((plane, channel) => {
    const source = toFrequencies(plane, width, height);
    const raw = toFrequencies(noise[channel] ?? plane, width, height);
    const soft = fromFrequencies(multiply(raw, falloff), width, height);
    const softened = toFrequencies(soft, width, height);
    const factors = source.real.map((real, i) => {
      const length = Math.hypot(real, source.imaginary[i] ?? 0);
      const power = (softened.real[i] ?? 0) ** 2 + (softened.imaginary[i] ?? 0) ** 2;
      // The phase of nothing is nothing; numpy has no number there.
      return length === 0 ? 0 : (power * length ** exponent) / length;
    });
    return fromFrequencies(multiply(source, factors), width, height);
  });
}

function multiply({ real, imaginary }: Complex, by: Float64Array): Complex {
  return {
    real: real.map((value, i) => value * (by[i] ?? 0)),
    imaginary: imaginary.map((value, i) => value * (by[i] ?? 0)),
  };
}

/** How much of each frequency the noise keeps: most in the middle, where the frequencies are low. */
function noiseWindow(width: number, height: number): Float64Array {
  const shorter = Math.min(width, height);
  const window = new Float64Array(width * height);
  for (let y = 0; y < height; y++) {
    const down = ((y / height) * 2 - 1) * (height / shorter);
    for (let x = 0; x < width; x++) {
      const across = ((x / width) * 2 - 1) * (width / shorter);
      window[y * width + x] = 1 / ((across * across + 1) * (down * down + 1));
    }
  }
  return window;
}

/** Low frequencies in the middle. */
function toFrequencies(plane: Float64Array, width: number, height: number): Complex {
  const shifted = { real: roll(plane, width, height, true), imaginary: new Float64Array(plane.length) };
  const { real, imaginary } = transform2d(shifted, height, width);
  return { real: roll(real, width, height, false), imaginary: roll(imaginary, width, height, false) };
}

function fromFrequencies({ real, imaginary }: Complex, width: number, height: number): Float64Array {
  const shifted = { real: roll(real, width, height, true), imaginary: roll(imaginary, width, height, true) };
  return roll(transform2d(shifted, height, width, true).real, width, height, false);
}

/** Moves the middle to the corner and, with `forward` false, back: numpy's `fftshift` and `ifftshift`. */
function roll(plane: Float64Array, width: number, height: number, forward: boolean): Float64Array {
  const half = (side: number) => (forward ? Math.floor(side / 2) : Math.ceil(side / 2));
  const [across, down] = [half(width), half(height)];
  const rolled = new Float64Array(plane.length);
  for (let y = 0; y < height; y++) {
    for (let x = 0; x < width; x++) {
      rolled[((y + down) % height) * width + ((x + across) % width)] = plane[y * width + x] ?? 0;
    }
  }
  return rolled;
}

/** Moves and scales numbers so that the lowest of all is 0 and the highest 1. */
function stretchToUnit(planes: Float64Array[]): void {
  const lowest = -largest(planes.map((plane) => plane.map((value) => -value)));
  const range = largest(planes) - lowest || 1;
  planes.forEach((plane, i) => {
    planes[i] = plane.map((value) => (value - lowest) / range);
  });
}
