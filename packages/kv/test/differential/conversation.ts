import { generator } from './command-generator.ts';
import { RawClient } from './raw-client.ts';

/** One per line; a line ends where it says CRLF, whatever stands around it. */
const fragments = (lines: string): string[] =>
  lines
    .trim()
    .split('\n')
    .map((line) => line.trimStart().replaceAll('<CRLF>', '\r\n').replaceAll('<NUL>', '\0').replaceAll('<TAB>', '\t'));

const sane = fragments(String.raw`
  PING<CRLF>
  ping  a<CRLF>
  <CRLF>
  *0<CRLF>
  *-1<CRLF>
  *-10<CRLF>
  *1<CRLF>$4<CRLF>PING<CRLF>
  *2<CRLF>$4<CRLF>ECHO<CRLF>$0<CRLF><CRLF>
  *2<CRLF>$4<CRLF>echo<CRLF>$5<CRLF>a<CRLF><NUL>b<CRLF>
  *1<CRLF>$0<CRLF><CRLF>
  ECHO "a\x41\n\q"<CRLF>
  ECHO 'it\'s'<CRLF>
  ECHO ""<CRLF>
  ECHO "\xzz\x4"<CRLF>
  ECHO 'a\nb'<CRLF>
  <TAB>ECHO<TAB>x<CRLF>
  ECHO<CRLF>
  SELECT 0<CRLF>
  GET {t}none<CRLF>
  NOSUCH<CRLF>
  ""<CRLF>
  HELLO 3<CRLF>
`);

const broken = fragments(String.raw`
  *a<CRLF>
  *<CRLF>
  *01<CRLF>
  *+1<CRLF>
  * 1<CRLF>
  *1 <CRLF>
  *1.0<CRLF>
  *-0<CRLF>
  *2147483648<CRLF>
  *99999999999<CRLF>
  *1<CRLF>$x<CRLF>
  *1<CRLF>$<CRLF>
  *1<CRLF>$01<CRLF>
  *1<CRLF>$4 <CRLF>
  *1<CRLF>$-1<CRLF>
  *1<CRLF>$-0<CRLF>
  *1<CRLF>$536870913<CRLF>
  *1<CRLF>$99999999999<CRLF>
  *1<CRLF>+PING<CRLF>
  *1<CRLF>PING<CRLF>
  *1<CRLF><CRLF>
  *1<CRLF>:1<CRLF>
  $4<CRLF>PING<CRLF>
  ECHO "open<CRLF>
  ECHO 'open<CRLF>
  ECHO "a"b<CRLF>
  ECHO 'a'b<CRLF>
  ECHO "a\"<CRLF>
  QUIT<CRLF>
  quit now<CRLF>
`);

/** Bytes on a connection as a client with faults would send them: well-formed at first, then perhaps not. */
export function conversation(seed: number): string {
  const random = generator(seed);
  const pick = (items: readonly string[]): string => items[Math.floor(random() * items.length)] as string;
  const parts = Array.from({ length: Math.floor(random() * 4) }, () => pick(sane));
  if (random() < 0.8) parts.push(pick(broken), pick(sane));
  return `${parts.join('')}ECHO end\r\n`;
}

/** Without a word for this long, a server has nothing more to say. */
const quietMs = 400;

/** What a server says to the bytes, and whether it hangs up. */
export async function converse(port: number, bytes: string): Promise<string> {
  const client = await RawClient.open(port);
  client.write(Buffer.from(bytes, 'latin1'));
  let heard = -1;
  while (!client.closed && heard !== client.received.length) {
    heard = client.received.length;
    await new Promise((resolve) => setTimeout(resolve, quietMs));
  }
  const said = `${client.received.toString('latin1')}${client.closed ? '(hangs up)' : ''}`;
  client.close();
  return said.replaceAll(/\$2\r\nid\r\n:\d+/g, 'id');
}
