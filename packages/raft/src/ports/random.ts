/** Chance: seeds, nonces and identities. */
export interface Random {
  uint32(): number;
  /** `length` unpredictable bytes. */
  bytes(length: number): Uint8Array;
}
