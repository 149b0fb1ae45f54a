export const clientNameError = 'ERR Client names cannot contain spaces, newlines or special characters.';

/** Names are echoed in CLIENT LIST, one client per line, so they may not hold what separates its fields. */
export function isClientName(name: string): boolean {
  return /^[!-~]*$/.test(name);
}
