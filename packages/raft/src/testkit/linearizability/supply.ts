import type { Fact, Facts } from './model.ts';

/** An operation, as far as states go: the numbers of the one state it needs and the one it makes, or -1. */
export interface Trade<State> {
  readonly needs: number;
  readonly makes: number;
  readonly facts: Facts<State>;
}

/**
 * Who still needs a state, and who can still make it. Once nobody can, a state that somebody needs must not be left: no
 * order beyond that point is worth trying. Every operation that has not taken effect is counted.
 */
export class Supply<State> {
  private readonly needers: number[] = [];
  private readonly makers: number[] = [];
  /** How many may make any state. */
  private wild = 0;
  /** Those that make one of several states, and which of them are left. */
  private readonly versatile: Trade<State>[] = [];
  private readonly left: Set<Trade<State>> = new Set();
  /** By state, who of the versatile could make it. */
  private readonly versatileFor: (readonly Trade<State>[] | undefined)[] = [];

  /** All operations are added before the first question. */
  add(trade: Trade<State>): void {
    if (trade.facts.makes.kind === 'some') this.versatile.push(trade);
    this.putBack(trade);
  }

  putBack(trade: Trade<State>): void {
    if (trade.facts.makes.kind === 'some') this.left.add(trade);
    this.change(trade, 1);
  }

  take(trade: Trade<State>): void {
    if (trade.facts.makes.kind === 'some') this.left.delete(trade);
    this.change(trade, -1);
  }

  /** Somebody needs the state, and once it is left it never comes back. */
  lost(number: number, state: State): boolean {
    if (this.wild > 0 || (this.needers[number] ?? 0) === 0 || (this.makers[number] ?? 0) > 0) return false;
    const able = (this.versatileFor[number] ??= this.versatile.filter(({ facts }) =>
      (facts.makes as Extract<Fact<State>, { readonly kind: 'some' }>).could(state),
    ));
    return !able.some((trade) => this.left.has(trade));
  }

  private change({ needs, makes, facts }: Trade<State>, by: 1 | -1): void {
    if (needs >= 0) this.needers[needs] = (this.needers[needs] ?? 0) + by;
    if (makes >= 0) this.makers[makes] = (this.makers[makes] ?? 0) + by;
    if (facts.makes.kind === 'unclear') this.wild += by;
  }
}
