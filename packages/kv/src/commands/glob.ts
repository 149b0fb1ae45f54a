type Token = string | typeof anyOne | typeof anyRun | ReadonlySet<number>;
const anyOne = 1;
const anyRun = 2;

/**
 * A test for Redis' glob patterns: `*`, `?`, `[abc]`, `[^a-z]`, `\` before a character that is meant. It takes at most
 * pattern times text steps, because a star that was passed is never tried again: no pattern can stop the server.
 */
export function compileGlob(pattern: string): (text: string) => boolean {
  const tokens = tokenize(pattern);
  return (text) => matches(tokens, text);
}

function matches(tokens: readonly Token[], text: string): boolean {
  let token = 0;
  let at = 0;
  let starToken = -1;
  let starAt = 0;
  while (at < text.length) {
    const current = tokens[token];
    if (current === anyRun) {
      starToken = token;
      starAt = at;
      token += 1;
    } else if (current !== undefined && fits(current, text, at)) {
      token += 1;
      at += 1;
    } else if (starToken >= 0) {
      starAt += 1;
      at = starAt;
      token = starToken + 1;
    } else return false;
  }
  while (tokens[token] === anyRun) token += 1;
  return token === tokens.length;
}

function fits(token: Token, text: string, at: number): boolean {
  if (token === anyOne) return true;
  if (typeof token === 'string') return token === text[at];
  return typeof token === 'object' && token.has(text.charCodeAt(at));
}

function tokenize(pattern: string): Token[] {
  const tokens: Token[] = [];
  let at = 0;
  while (at < pattern.length) {
    const character = pattern[at] as string;
    if (character === '[') {
      at = readClass(pattern, at + 1, tokens);
      continue;
    }
    if (character === '\\' && at + 1 < pattern.length) {
      at += 1;
      tokens.push(pattern[at] as string);
    } else if (character === '*') {
      if (tokens[tokens.length - 1] !== anyRun) tokens.push(anyRun);
    } else tokens.push(character === '?' ? anyOne : character);
    at += 1;
  }
  return tokens;
}

/** Reads a class up to its `]`, or up to the end of the pattern, as Redis does; answers where it ends. */
function readClass(pattern: string, from: number, tokens: Token[]): number {
  const negated = pattern[from] === '^';
  const members = new Set<number>();
  let at = negated ? from + 1 : from;
  while (at < pattern.length && pattern[at] !== ']') {
    if (pattern[at] === '\\' && at + 1 < pattern.length) {
      members.add(pattern.charCodeAt(at + 1));
      at += 2;
    } else if (pattern[at + 1] === '-' && at + 2 < pattern.length) {
      const [low, high] = [pattern.charCodeAt(at), pattern.charCodeAt(at + 2)].sort((a, b) => a - b) as [
        number,
        number,
      ];
      for (let code = low; code <= high; code += 1) members.add(code);
      at += 3;
    } else {
      members.add(pattern.charCodeAt(at));
      at += 1;
    }
  }
  tokens.push(negated ? complement(members) : members);
  return at + 1;
}

function complement(members: ReadonlySet<number>): ReadonlySet<number> {
  const others = new Set<number>();
  for (let code = 0; code < 256; code += 1) if (!members.has(code)) others.add(code);
  return others;
}
