// Reading streams that others fill, without believing them to end.

/** Reads a body as far as it is asked to, keeps what it read, and can give the whole of it on. */
export class BodyReader {
  readonly #reader: ReadableStreamDefaultReader<Uint8Array> | undefined;
  readonly #chunks: Uint8Array[] = [];
  #length = 0;
  #ended: boolean;

  constructor(stream: ReadableStream<Uint8Array> | null) {
    this.#reader = stream?.getReader();
    this.#ended = stream === null;
  }

  /** The next part; nothing after the last. */
  async next(): Promise<Uint8Array | undefined> {
    const { done = true, value } = (await this.#reader?.read()) ?? {};
    if (done) {
      this.#ended = true;
      return undefined;
    }
    if (!ArrayBuffer.isView(value)) {
      throw new TypeError("a body must be a stream of bytes");
    }
    const chunk = new Uint8Array(value.buffer, value.byteOffset, value.byteLength);
    this.#chunks.push(chunk);
    this.#length += chunk.byteLength;
    return chunk;
  }

  /**
   * The first `limit` bytes, or all if there are less. Who wants to know whether a body fits into n
   * bytes asks for n + 1.
   */
  async upTo(limit: number): Promise<Uint8Array<ArrayBuffer>> {
    while (!this.#ended && this.#length < limit) {
      await this.next();
    }
    return this.#join(Math.min(limit, this.#length));
  }

  /** The whole body, as if nothing had been read of it. Ends the use of this reader. */
  whole(): Uint8Array<ArrayBuffer> | ReadableStream<Uint8Array> {
    if (this.#ended) {
      return this.#join(this.#length);
    }
    return new ReadableStream({
      start: (controller) => {
        for (const chunk of this.#chunks.splice(0)) {
          controller.enqueue(chunk);
        }
      },
      pull: async (controller) => {
        const chunk = await this.next();
        this.#chunks.length = 0;
        chunk ? controller.enqueue(chunk) : controller.close();
      },
      cancel: (reason) => this.#reader?.cancel(reason),
    });
  }

  /** Tells the source that no more is wanted. Whether it takes note is its own affair. */
  cancel(): void {
    this.#reader?.cancel().catch(() => {});
  }

  #join(length: number): Uint8Array<ArrayBuffer> {
    const bytes = new Uint8Array(length);
    let at = 0;
    for (const chunk of this.#chunks) {
      bytes.set(chunk.subarray(0, length - at), at);
      at += Math.min(chunk.byteLength, length - at);
    }
    return bytes;
  }
}
