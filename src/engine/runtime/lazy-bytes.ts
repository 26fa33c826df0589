/**
 * A Blob for ONNX Runtime's builds without JSPI, which keep every external file in JavaScript's memory as a whole while a
 * session is made: an array that reads the parts they copy out of it, one at a time. They (1.30) ask it for nothing but
 * `byteLength` and `subarray`, from the thread that makes the session.
 */
class LazyBytes extends Uint8Array<ArrayBuffer> {
  readonly #blob: Blob;

  constructor(blob: Blob) {
    super(new ArrayBuffer(0));
    this.#blob = blob;
    // The array's own property is an accessor that subclasses cannot override in TypeScript.
    Object.defineProperty(this, 'byteLength', { value: blob.size });
  }

  override subarray(start = 0, end = this.#blob.size): Uint8Array<ArrayBuffer> {
    return new Uint8Array(new FileReaderSync().readAsArrayBuffer(this.#blob.slice(start, end)));
  }
}

/** Files of at most so many bytes are read as a whole: hundreds of tensors one by one take longer than the session. */
const WHOLE_BYTES = 32e6;

/** A small Blob's bytes. Of a large one such an array where the thread can wait for a disk, as workers can; else the Blob. */
export async function readLazily(blob: Blob): Promise<Blob | Uint8Array> {
  if (blob.size <= WHOLE_BYTES) return new Uint8Array(await blob.arrayBuffer());
  return 'FileReaderSync' in globalThis ? new LazyBytes(blob) : blob;
}
