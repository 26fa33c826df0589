/** Longer texts without a blank are taken for data. */
const LONGEST_WORD = 200;

/** Starts of base64 that tell an image's type: PNG, JPEG, WebP. */
const BASE64_IMAGES = [
  ['iVBORw0KGgo', 'image/png'],
  ['/9j/', 'image/jpeg'],
  ['UklGR', 'image/webp'],
] as const;

/** An answer's JSON for reading: images and other long data are cut and their length is given. */
export function shortenData(value: unknown): unknown {
  if (typeof value === 'string' && value.length > LONGEST_WORD && !value.includes(' ')) {
    return `${value.slice(0, 40)}… (${value.length.toLocaleString('en')} characters)`;
  }
  if (Array.isArray(value)) return value.map(shortenData);
  if (typeof value === 'object' && value !== null) {
    return Object.fromEntries(Object.entries(value).map(([key, inner]) => [key, shortenData(inner)]));
  }
  return value;
}

/**
 * Addresses of the images in an answer, wherever a dialect puts them: base64, data URLs, and links to
 * files on this origin. The same image is given once.
 */
export function findImages(value: unknown): string[] {
  const found = new Set<string>();
  const visit = (inner: unknown): void => {
    if (typeof inner === 'string') {
      const address = imageAddress(inner);
      if (address !== undefined) found.add(address);
    } else if (typeof inner === 'object' && inner !== null) Object.values(inner).forEach(visit);
  };
  visit(value);
  return [...found];
}

function imageAddress(text: string): string | undefined {
  if (text.startsWith('data:image/')) return text;
  const type = text.length > LONGEST_WORD && BASE64_IMAGES.find(([start]) => text.startsWith(start))?.[1];
  if (type) return `data:${type};base64,${text}`;
  const isLink = text.startsWith(`${location.origin}/`) && /\.(png|jpe?g|webp)$/.test(text);
  return isLink ? text : undefined;
}
