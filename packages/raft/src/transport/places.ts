/**
 * Where a peer may be. Usually that is one address. While it moves it may be at any of those that the groups name, and at
 * the one where it was last met: they are tried in turn. Who is there says in the handshake who it is.
 */
export class Places {
  private named: readonly string[];
  private lastMet: string | null = null;
  private refusals = 0;
  private current: string;

  constructor(addresses: readonly string[]) {
    this.named = addresses;
    this.current = addresses[0] ?? '';
  }

  /** Where to look next. */
  get next(): string {
    return this.current;
  }

  /** Takes the addresses that the peer has now; the first that was not among them is tried next. Returns whether there is one. */
  rename(addresses: readonly string[]): boolean {
    const before = this.all();
    this.named = addresses;
    const news = addresses.find((address) => !before.includes(address));
    if (news !== undefined) this.current = news;
    else if (!this.all().includes(this.current)) this.current = this.all()[0] ?? '';
    if (news !== undefined) this.refusals = 0;
    return news !== undefined;
  }

  /** The peer was met: at `next`, or because it came here. */
  met(there: boolean): void {
    if (there) this.lastMet = this.current;
    this.refusals = 0;
  }

  /** It was not met at `next`. Returns whether, one after another, all places were found with nobody listening there. */
  missed(refused: boolean): boolean {
    const all = this.all();
    this.refusals = refused ? this.refusals + 1 : 0;
    this.current = all[(all.indexOf(this.current) + 1) % all.length] ?? '';
    return this.refusals >= all.length;
  }

  private all(): readonly string[] {
    return this.lastMet === null || this.named.includes(this.lastMet) ? this.named : [...this.named, this.lastMet];
  }
}
