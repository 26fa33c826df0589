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
    if (!this.#isHeld()) return this.#blob.slice(start, end);
    const bytes = this.#read();
    return { arrayBuffer: async () => (await bytes).slice(start, end) };
  }

  /** All of it, in memory where it is held. */
  async whole(): Promise<Blob | Uint8Array<ArrayBuffer>> {
    return this.#isHeld() ? new Uint8Array(await this.#read()) : this.#blob;
  }

  hold(): void {
    this.#holders++;
  }

  letGo(): void {
    this.#holders--;
    if (this.#holders === 0) this.#bytes = null;
  }

  #isHeld(): boolean {
    return this.#holders > 0 && this.size <= HELD_BYTES;
  }

  #read(): Promise<ArrayBuffer> {
    return (this.#bytes ??= this.#blob.arrayBuffer());
  }
}
