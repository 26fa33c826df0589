/** Bytes that are read or made when they are asked for. */
export interface DeferredBytes {
  sizeBytes: number;
  /** Those from `start`, which begins a tensor, to its end; they last until the next are read. */
  read(start: number, end: number): Uint8Array<ArrayBuffer>;
}

/**
 * For ONNX Runtime, which copies the parts of external files one by one while it makes a session: an array that has the parts
 * made then. Its builds without JSPI (1.30) ask an array for nothing but `byteLength` and `subarray`, from the thread that
 * makes the session; that with JSPI takes Blobs, and streams them.
 */
class LazyBytes extends Uint8Array<ArrayBuffer> {
  readonly #bytes: DeferredBytes;

  constructor(bytes: DeferredBytes) {
    super(new ArrayBuffer(0));
    this.#bytes = bytes;
    // The array's own property is an accessor that subclasses cannot override in TypeScript.
    Object.defineProperty(this, 'byteLength', { value: bytes.sizeBytes });
  }

  override subarray(start = 0, end = this.#bytes.sizeBytes): Uint8Array<ArrayBuffer> {
    return this.#bytes.read(start, end);
  }
}

/** Such an array. */
export const toLazyBytes = (bytes: DeferredBytes): Uint8Array => new LazyBytes(bytes);

/** Files of at most so many bytes are read as a whole: hundreds of tensors one by one take longer than the session. */
const WHOLE_BYTES = 32e6;

/**
 * A small Blob's bytes. A large one is read part by part where the thread can wait for a disk, as workers can, or else stays
 * what it is.
 */
export async function readLazily(blob: Blob): Promise<Blob | Uint8Array> {
  if (blob.size <= WHOLE_BYTES) return new Uint8Array(await blob.arrayBuffer());
  if (!('FileReaderSync' in globalThis)) return blob;
  return toLazyBytes({
    sizeBytes: blob.size,
    read: (start, end) => new Uint8Array(new FileReaderSync().readAsArrayBuffer(blob.slice(start, end))),
  });
}
