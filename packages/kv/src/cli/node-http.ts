/** One node's HTTP port, with the password if there is one. */
export class NodeHttp {
  readonly #base: string;
  readonly #headers: Readonly<Record<string, string>>;

  constructor(address: string, password: string | undefined) {
    this.#base = /^https?:/.test(address) ? address : `http://${address}`;
    const credentials = Buffer.from(`default:${password ?? ''}`).toString('base64');
    this.#headers = password === undefined ? {} : { authorization: `Basic ${credentials}` };
  }

  /** The answer, whatever its status. @throws Error when there is none. */
  async fetch(path: string, init: { readonly method?: string; readonly body?: Uint8Array } = {}): Promise<Response> {
    try {
      return await fetch(`${this.#base}${path}`, { ...init, headers: this.#headers } as RequestInit);
    } catch (cause) {
      throw new Error(
        `no answer from ${this.#base}; is the node running? Give the HTTP address of one that is with --http`,
        {
          cause,
        },
      );
    }
  }

  /** The answer, if it is a good one. */
  async ask(path: string, init: { readonly method?: string; readonly body?: Uint8Array } = {}): Promise<Response> {
    const response = await this.fetch(path, init);
    if (!response.ok) throw new Error(await problemOf(response));
    return response;
  }
}

export const wrongPassword =
  'the cluster has another password than was given here, or one where none was given; set NORI_PASSWORD';

export async function problemOf(response: Response): Promise<string> {
  if (response.status === 401) return wrongPassword;
  const { message, remedy } = (await response.json().catch(() => ({}))) as { message?: string; remedy?: string };
  return `${message ?? `${response.url} answered ${response.status}`}${remedy === undefined ? '' : `; ${remedy}`}`;
}
