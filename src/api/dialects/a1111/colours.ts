/** The channels of `#rrggbb`; null for what is written otherwise. */
export function readColour(text: string): [red: number, green: number, blue: number] | null {
  const [, ...digits] = /^#([\da-f]{2})([\da-f]{2})([\da-f]{2})$/i.exec(text.trim()) ?? [];
  if (digits.length === 0) return null;
  const [red = 0, green = 0, blue = 0] = digits.map((pair) => Number.parseInt(pair, 16));
  return [red, green, blue];
}
