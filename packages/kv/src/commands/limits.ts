/** What is refused before it is proposed. */
export interface CommandLimits {
  readonly keyBytesMax: number;
  readonly valueBytesMax: number;
}

export const defaultCommandLimits: CommandLimits = {
  keyBytesMax: 64 * 1024,
  valueBytesMax: 8 * 1024 * 1024,
};
