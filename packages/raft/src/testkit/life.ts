/** One run of a process, from its start to its end. What belongs to a life that is over does not happen any more. */
export interface Life {
  readonly machine: { readonly id: string; readonly place: number };
  over: boolean;
}
