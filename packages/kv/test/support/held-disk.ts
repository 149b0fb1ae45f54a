import { rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { runTool } from './run-tool.ts';

/** Every fdatasync and fsync waits while the file named by HOLD_SYNC_WHILE exists, as a disk does that does not answer. */
const source = `
#define _GNU_SOURCE
#include <dlfcn.h>
#include <stdlib.h>
#include <time.h>
#include <unistd.h>

static void wait_while_held(void) {
  const char *file = getenv("HOLD_SYNC_WHILE");
  struct timespec pause = {0, 10 * 1000 * 1000};
  while (file != NULL && access(file, F_OK) == 0) nanosleep(&pause, NULL);
}

int fdatasync(int fd) {
  wait_while_held();
  return ((int (*)(int))dlsym(RTLD_NEXT, "fdatasync"))(fd);
}

int fsync(int fd) {
  wait_while_held();
  return ((int (*)(int))dlsym(RTLD_NEXT, "fsync"))(fd);
}
`;

/** The disks of some processes, each of which can be made to hang and to go on. */
export class HeldDisks {
  private readonly directory: string;
  private readonly library: string;

  /** Builds what stands between the processes and the disk; needs a C compiler. */
  static async in(directory: string): Promise<HeldDisks> {
    const library = join(directory, 'held-disk.so');
    writeFileSync(join(directory, 'held-disk.c'), source);
    const { code, stderr } = await runTool('cc', ['-shared', '-fPIC', '-o', library, join(directory, 'held-disk.c')]);
    if (code !== 0) throw new Error(`this test needs a C compiler: ${stderr}`);
    return new HeldDisks(directory, library);
  }

  private constructor(directory: string, library: string) {
    this.directory = directory;
    this.library = library;
  }

  environmentOf(id: string): Record<string, string> {
    return { LD_PRELOAD: this.library, HOLD_SYNC_WHILE: this.fileOf(id) };
  }

  hold(id: string): void {
    writeFileSync(this.fileOf(id), '');
  }

  release(id: string): void {
    rmSync(this.fileOf(id), { force: true });
  }

  private fileOf(id: string): string {
    return join(this.directory, `held-${id}`);
  }
}
