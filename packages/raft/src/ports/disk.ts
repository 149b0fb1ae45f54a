/** Called with null when the operation succeeded. */
export type DiskDone = (error: Error | null) => void;

/**
 * An open file. Positions are absolute. The hot operations (`write`, `sync`) call back; what runs only at start or in
 * the background returns promises. An error whose `code` is 'ENOSPC' means the volume is full.
 */
export interface DiskFile {
  readonly path: string;
  sizeBytes(): Promise<number>;
  /** Up to `length` bytes from `position`: fewer only at the end of the file. */
  read(position: number, length: number): Promise<Uint8Array>;
  /**
   * Writes `bytes` at `position`. A real disk may write less than was asked without an error (a volume that fills
   * up does): `written` says how much, and the caller checks it.
   */
  write(bytes: Uint8Array, position: number, done: (error: Error | null, written: number) => void): void;
  /** fdatasync: when it calls back without an error, all earlier completed writes survive a power cut. Never retry a failed one. */
  sync(done: DiskDone): void;
  truncate(sizeBytes: number): Promise<void>;
  close(): Promise<void>;
}

/** A file system as far as the library needs one. Paths are joined with '/'. */
export interface Disk {
  /** Opens for reading and writing; with `create`, makes the file when it is missing. */
  open(path: string, options: { readonly create: boolean }): Promise<DiskFile>;
  /** The names in a directory, sorted; empty when it does not exist. */
  list(directory: string): Promise<readonly string[]>;
  /** Makes a directory and its parents; content when it exists. */
  makeDirectory(directory: string): Promise<void>;
  /** Atomically replaces `to`. Durable only after `syncDirectory`. */
  rename(from: string, to: string): Promise<void>;
  remove(path: string): Promise<void>;
  /** Makes creations, renames and removals in the directory durable. */
  syncDirectory(directory: string): Promise<void>;
}

/** A data directory in the hands of this process. */
export interface HeldDirectory {
  /**
   * Names this boot of this machine and the very thing that is locked: the same for no other machine, no other boot and
   * no copy of the directory. Whoever holds the lock knows that every earlier holder under this name is dead. Left out:
   * nothing is known of them.
   */
  readonly bootId?: string;
  release(): Promise<void>;
}

/** Held while a process owns a data directory; the kernel lets go of it when the process dies. */
export interface DirectoryLock {
  /** @throws NoriError DATA_DIR_LOCKED when another process holds it. */
  acquire(directory: string): Promise<HeldDirectory>;
}
