/**
 * Elementary functions as torch computes them on float32 tensors, to the last bit where it matters: some
 * reference runs feed the sine values so large that their last bit decides the result.
 */

const { fround } = Math;

/** a · b + c, rounded once. */
function fusedMultiplyAdd(a: number, b: number, c: number): number {
  return fround(a * b + c);
}

/** π in three parts, so that small multiples of the first two are exact. Source: Cody & Waite 1980. */
const PI_PARTS = [3.1414794921875, 0.00011315941810607910156, 1.9841872589410058936e-9].map(fround);

/** Beyond this, the argument is reduced with more bits. */
const REDUCED_IN_PARTS = 125;

/**
 * Sine of a float32 with an error of at most one unit in the last place. Source: the approximation of the SLEEF
 * library (Shibata & Petrogalli 2020), whose rounding this follows for arguments below 125.
 */
export function sine(x: number): number {
  if (Math.abs(x) >= REDUCED_IN_PARTS) return fround(Math.sin(x));
  const [pi1 = 0, pi2 = 0, pi3 = 0] = PI_PARTS;
  const multiple = Math.round(fround(x * fround(1 / Math.PI)));
  const near = fusedMultiplyAdd(multiple, -pi1, x);
  const exact = near - fround(multiple * pi2) - fround(multiple * pi3);
  const high = fround(exact);
  const square = high * high + 2 * high * (exact - high);
  const rounded = fround(square);
  let series = fround(2.6083159809786593541503e-6);
  series = fusedMultiplyAdd(series, rounded, fround(-0.0001981069071916863322258));
  series = fusedMultiplyAdd(series, rounded, fround(0.00833307858556509017944336));
  const factor = 1 + (fround(-0.166666597127914428710938) + fround(series * rounded)) * square;
  return fround(exact * factor) * (multiple % 2 === 0 ? 1 : -1);
}

/** Hyperbolic tangent of a float32. */
export function hyperbolicTangent(x: number): number {
  return fround(Math.tanh(x));
}
