import { rmdirSync } from 'node:fs';
import { runTool } from './run-tool.ts';

/**
 * A volume in memory that is soon full, and can be given room again. Mounting takes root, or sudo without a password,
 * as CI machines have it.
 */
export class SmallVolume {
  readonly path: string;

  /** On an empty directory. */
  static async mount(path: string, sizeMiB: number): Promise<SmallVolume> {
    await asRoot('mount', '-t', 'tmpfs', '-o', `size=${sizeMiB}m,mode=1777`, 'nori-kv-test', path);
    return new SmallVolume(path);
  }

  private constructor(path: string) {
    this.path = path;
  }

  async resize(sizeMiB: number): Promise<void> {
    await asRoot('mount', '-o', `remount,size=${sizeMiB}m`, this.path);
  }

  async unmount(): Promise<void> {
    await asRoot('umount', this.path);
    rmdirSync(this.path);
  }
}

async function asRoot(...command: string[]): Promise<void> {
  const [program = '', ...args] = process.getuid?.() === 0 ? command : ['sudo', '-n', ...command];
  const { code, stderr } = await runTool(program, args);
  if (code !== 0) throw new Error(`a full disk is tested on a tmpfs, which needs root or sudo -n: ${stderr}`);
}
