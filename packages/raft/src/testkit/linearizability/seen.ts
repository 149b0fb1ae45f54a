/**
 * The configurations a search has been in: which operations took effect, and the state they left. Operations of unknown
 * outcome that took effect are a set of their own: who has used fewer of them can do all that others can, so a
 * configuration is also known when a better one is.
 */
export class Seen {
  private readonly known = new Map<string, Uint32Array[]>();

  /** Whether this is new; then it is remembered. `used` is copied. */
  add(key: string, used: Uint32Array): boolean {
    const before = this.known.get(key);
    if (before === undefined) {
      this.known.set(key, [used.slice()]);
      return true;
    }
    if (before.some((fewer) => isSubset(fewer, used))) return false;
    const kept = before.filter((more) => !isSubset(used, more));
    kept.push(used.slice());
    this.known.set(key, kept);
    return true;
  }
}

function isSubset(part: Uint32Array, whole: Uint32Array): boolean {
  for (let at = 0; at < part.length; at += 1) {
    if (((part[at] as number) & ~(whole[at] as number)) !== 0) return false;
  }
  return true;
}
