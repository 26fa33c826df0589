/**
 * Writes protobuf messages: as much of the wire format as ONNX needs. Fields go out in the order of the calls.
 * Format: https://protobuf.dev/programming-guides/encoding
 */
export class ProtobufWriter {
  #bytes = new Uint8Array(256);
  #length = 0;

  /** An `int32`, `int64` or enum field; negative numbers as 64-bit two's complement. */
  int(field: number, value: number): this {
    this.#tag(field, 0);
    this.#varint(value);
    return this;
  }

  /** A `repeated int64` field, packed. */
  ints(field: number, values: readonly number[]): this {
    const packed = new ProtobufWriter();
    for (const value of values) packed.#varint(value);
    return this.bytes(field, packed.finish());
  }

  /** A `float` field. */
  float(field: number, value: number): this {
    this.#tag(field, 5);
    const at = this.#grow(4);
    new DataView(this.#bytes.buffer).setFloat32(at, value, true);
    return this;
  }

  /** A `string` field. */
  string(field: number, value: string): this {
    // Names are ASCII, and a UNet has thousands: a TextEncoder takes 0.2 s for them.
    const bytes = new Uint8Array(value.length);
    for (let i = 0; i < value.length; i++) {
      const code = value.charCodeAt(i);
      if (code > 0x7f) return this.bytes(field, new TextEncoder().encode(value));
      bytes[i] = code;
    }
    return this.bytes(field, bytes);
  }

  /** A `bytes` field. */
  bytes(field: number, value: Uint8Array): this {
    this.#tag(field, 2);
    this.#varint(value.length);
    const at = this.#grow(value.length);
    this.#bytes.set(value, at);
    return this;
  }

  /** A nested message. */
  message(field: number, value: ProtobufWriter): this {
    return this.bytes(field, value.finish());
  }

  /** The bytes written so far. */
  finish(): Uint8Array<ArrayBuffer> {
    return this.#bytes.slice(0, this.#length);
  }

  #tag(field: number, wireType: number): void {
    this.#varint(field * 8 + wireType);
  }

  #varint(value: number): void {
    let rest = value;
    if (rest < 0) {
      let wide = BigInt.asUintN(64, BigInt(rest));
      for (; wide > 0x7fn; wide >>= 7n) this.#byte(Number(wide & 0x7fn) | 0x80);
      rest = Number(wide);
    }
    // Division, not shifts: offsets pass 2^31.
    for (; rest > 0x7f; rest = Math.floor(rest / 128)) this.#byte((rest % 128) | 0x80);
    this.#byte(rest);
  }

  #byte(value: number): void {
    const at = this.#grow(1);
    this.#bytes[at] = value;
  }

  /** Makes room for `count` bytes and returns where they start. */
  #grow(count: number): number {
    const at = this.#length;
    this.#length += count;
    if (this.#length > this.#bytes.length) {
      const larger = new Uint8Array(Math.max(this.#length, this.#bytes.length * 2));
      larger.set(this.#bytes.subarray(0, at));
      this.#bytes = larger;
    }
    return at;
  }
}
