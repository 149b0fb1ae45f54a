import { crc32 } from 'node:zlib';
import { Block, blockBytesMax, blockHeaderBytes, formatVersion, magic, SnapshotFormatError } from './image-format.ts';

/** What an image comes to. */
export interface ImageEnd {
  readonly count: number;
  readonly timeMs: number;
  readonly digest: string;
}

/** Reads images, one after another, out of bytes that come in pieces of any size. */
export class ImageReader {
  readonly #source: AsyncIterator<Uint8Array>;
  #pieces: Uint8Array[] = [];
  #bytes = 0;

  constructor(image: AsyncIterable<Uint8Array>) {
    this.#source = image[Symbol.asyncIterator]();
  }

  /** The bodies of an image's blocks of keys, one at a time. */
  async *keys(): AsyncGenerator<Buffer, ImageEnd, void> {
    const first = await this.#read();
    if (first.kind !== Block.header || first.body.toString('latin1', 0, magic.length) !== magic)
      throw new SnapshotFormatError('this is not a snapshot of nori-kv');
    const version = first.body[magic.length];
    if (version !== formatVersion)
      throw new SnapshotFormatError(`snapshot format ${version} is not supported, only ${formatVersion} is`);
    for (;;) {
      const { kind, body } = await this.#read();
      if (kind === Block.keys) yield body;
      else if (kind !== Block.end) throw new SnapshotFormatError(`the snapshot holds a block of unknown kind ${kind}`);
      else
        return { count: body.readDoubleLE(0), timeMs: body.readDoubleLE(8), digest: body.toString('latin1', 16, 32) };
    }
  }

  /** Bytes that are no image: what a backup begins with. */
  take(count: number): Promise<Buffer> {
    return this.#take(count);
  }

  async #read(): Promise<{ readonly kind: number; readonly body: Buffer }> {
    const header = await this.#take(blockHeaderBytes);
    const length = header.readUInt32LE(0);
    if (length > blockBytesMax) throw new SnapshotFormatError('a block of the snapshot is impossibly long');
    const body = await this.#take(length);
    if (crc32(body, crc32(header.subarray(8))) !== header.readUInt32LE(4))
      throw new SnapshotFormatError('a block of the snapshot is damaged');
    return { kind: header[8] as number, body };
  }

  async expectEnd(): Promise<void> {
    if (this.#bytes > 0 || (await this.#fill())) throw new SnapshotFormatError('the snapshot goes on after its end');
  }

  async #fill(): Promise<boolean> {
    for (;;) {
      const next = await this.#source.next();
      if (next.done === true) return false;
      if (next.value.length === 0) continue;
      this.#pieces.push(next.value);
      this.#bytes += next.value.length;
      return true;
    }
  }

  async #take(count: number): Promise<Buffer> {
    while (this.#bytes < count) if (!(await this.#fill())) throw new SnapshotFormatError('the snapshot is cut short');
    const all = this.#pieces.length === 1 ? (this.#pieces[0] as Uint8Array) : Buffer.concat(this.#pieces);
    const whole = Buffer.from(all.buffer, all.byteOffset, all.byteLength);
    this.#bytes -= count;
    this.#pieces = this.#bytes === 0 ? [] : [whole.subarray(count)];
    return whole.subarray(0, count);
  }
}
