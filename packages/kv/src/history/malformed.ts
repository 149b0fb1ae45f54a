/** A line of a history that cannot be read. */
export class MalformedHistory extends Error {
  override readonly name = 'MalformedHistory';
  readonly line: number;

  constructor(line: number, problem: string) {
    super(`line ${line}: ${problem}`);
    this.line = line;
  }
}
