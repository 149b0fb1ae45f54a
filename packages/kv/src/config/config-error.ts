/** One problem of the configuration, in a line that says what to do. Exit code 2. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
}
