/** Engines with `Uint8Array.toBase64` (2025) encode and decode natively. */
interface NativeBase64 {
  toBase64?: () => string;
}

interface NativeBase64Constructor {
  fromBase64?: (text: string) => Uint8Array<ArrayBuffer>;
}

/** Bytes per call of `String.fromCharCode`: a multiple of 3, small enough for the argument list. */
const CHUNK = 0x6000;

/** Bytes as base64 (RFC 4648 §4), with padding. */
export function toBase64(bytes: Uint8Array): string {
  const native = (bytes as NativeBase64).toBase64;
  if (native) return native.call(bytes);
  let text = '';
  for (let start = 0; start < bytes.length; start += CHUNK) {
    text += btoa(String.fromCharCode(...bytes.subarray(start, start + CHUNK)));
  }
  return text;
}

/**
 * The bytes of base64 text; line breaks and missing padding are forgiven, the URL alphabet is understood.
 * @throws SyntaxError, DOMException when it is not base64
 */
export function fromBase64(text: string): Uint8Array<ArrayBuffer> {
  const plain = text
    .replace(/[\s=]+/g, '')
    .replaceAll('-', '+')
    .replaceAll('_', '/');
  const { fromBase64: native } = Uint8Array as NativeBase64Constructor;
  return native ? native(plain) : Uint8Array.from(atob(plain), (character) => character.charCodeAt(0));
}

/** The bytes of a data URI or of plain base64. @throws as {@link fromBase64} */
export function fromBase64OrDataUri(text: string): Uint8Array<ArrayBuffer> {
  return fromBase64(text.replace(/^\s*data:[^,]*;base64,/i, ''));
}

/** A blob's bytes as base64. */
export async function blobToBase64(blob: Blob): Promise<string> {
  return toBase64(new Uint8Array(await blob.arrayBuffer()));
}
