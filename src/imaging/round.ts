/** The nearest whole number, halves to the even one, as Python's `round`, numpy and OpenCV's `cvRound` have it. */
export function roundHalfToEven(value: number): number {
  const rounded = Math.round(value);
  return rounded - value === 0.5 && rounded % 2 !== 0 ? rounded - 1 : rounded;
}
