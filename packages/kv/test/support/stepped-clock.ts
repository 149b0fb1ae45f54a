import { existsSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';

/** Debian's faketime, multi-threaded; the directory between is named after the machine's architecture. */
function library(): string {
  for (const architecture of readdirSync('/usr/lib')) {
    const path = join('/usr/lib', architecture, 'faketime/libfaketimeMT.so.1');
    if (existsSync(path)) return path;
  }
  throw new Error('this test needs libfaketime: apt-get install faketime');
}

/** The wall clock of one process, moved while it runs. Its monotonic clock is left alone, as a step of the wall clock leaves it. */
export class SteppedClock {
  private readonly file: string;

  constructor(directory: string, id: string) {
    this.file = join(directory, `clock-${id}`);
    this.step(0);
  }

  get environment(): Record<string, string> {
    return {
      LD_PRELOAD: library(),
      FAKETIME_TIMESTAMP_FILE: this.file,
      FAKETIME_NO_CACHE: '1',
      // One library, two versions, two names.
      DONT_FAKE_MONOTONIC: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
    };
  }

  /** From now on the process sees the true wall clock plus so much. */
  step(offsetMs: number): void {
    writeFileSync(this.file, `${offsetMs < 0 ? '' : '+'}${offsetMs / 1000}`);
  }
}
