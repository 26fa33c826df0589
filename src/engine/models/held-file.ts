import type { ByteSource } from '#weights/safetensors-source.ts';

/** Files of at most so many bytes are held. */
const HELD_BYTES = 32e6;

/**
 * A file that can be held in memory for a while, from when it is first read: hundreds of tensors, each read by itself, take
 * longer than all of a small file.
 */
export class HeldFile implements ByteSource {
  readonly size: number;
  readonly #blob: Blob;
  #holders = 0;
  #bytes: Promise<ArrayBuffer> | null = null;

  constructor(blob: Blob) {
    this.size = blob.size;
    this.#blob = blob;
  }

  slice(start: number, end: number): { arrayBuffer(): Promise<ArrayBuffer> } {
    if (this.#holders === 0 || this.size > HELD_BYTES) return this.#blob.slice(start, end);
    this.#bytes ??= this.#blob.arrayBuffer();
    const bytes = this.#bytes;
    return { arrayBuffer: async () => (await bytes).slice(start, end) };
  }

  hold(): void {
    this.#holders++;
  }

  letGo(): void {
    this.#holders--;
    if (this.#holders === 0) this.#bytes = null;
  }
}
