import { open } from 'node:fs/promises';
import { SingleFlight } from '../../lib/index.ts';
import type { CredentialSource, Secret } from '../../oci/index.ts';
import { type Credential, CredentialError } from './credential.ts';
import { runCredentialHelper } from './credential-helper.ts';

const HELPER_LIFE_MS = 5 * 60_000;
const MAX_SECRET_FILE = 64 * 1024;

/** A credential and when it was read, in milliseconds of the reader's clock. */
export interface ReadCredential extends Credential {
  readonly readAt: number;
}

/** Reads one upstream's credential from its configured source whenever it is needed. */
export class CredentialReader {
  readonly #source: CredentialSource | undefined;
  readonly #server: string;
  readonly #now: () => number;
  readonly #asking = new SingleFlight<ReadCredential | undefined>();
  #username: string | undefined;
  #helped: { readonly credential: ReadCredential | undefined; readonly until: number } | undefined;

  constructor(options: { source: CredentialSource | undefined; upstream: URL; now: () => number }) {
    this.#source = options.source;
    this.#server = helperServer(options.upstream);
    this.#now = options.now;
  }

  get configured(): boolean {
    return this.#source !== undefined;
  }

  /** The user name of the credential that was read last. */
  get username(): string | undefined {
    return this.#username;
  }

  /**
   * Environment and files are read each time; a helper's answer is kept for 5 minutes.
   *
   * @returns undefined where none is configured, or the helper has none
   * @throws {CredentialError}
   */
  async read(): Promise<ReadCredential | undefined> {
    const credential = await this.#read();
    this.#username = credential?.username;
    return credential;
  }

  async #read(): Promise<ReadCredential | undefined> {
    const source = this.#source;
    if (source === undefined) return undefined;
    if (!('helper' in source)) {
      const readAt = this.#now();
      const username = await readSecret(source.username);
      return checked({ username, password: await readSecret(source.password), readAt });
    }
    if (this.#helped !== undefined && this.#now() < this.#helped.until) return this.#helped.credential;
    return this.#asking.run(source.helper, async () => {
      const readAt = this.#now();
      const found = await runCredentialHelper(source.helper, this.#server);
      const credential = found === undefined ? undefined : checked({ ...found, readAt });
      this.#helped = { credential, until: readAt + HELPER_LIFE_MS };
      return credential;
    });
  }

  /** Forgets a helper's answer after the upstream refused it. */
  forget(): void {
    this.#helped = undefined;
  }
}

/** The current value of a secret. @throws {CredentialError} */
export async function readSecret(secret: Secret): Promise<string> {
  if (typeof secret === 'string') return secret;
  if ('file' in secret) return readSecretFile(secret.file);
  const value = process.env[secret.env];
  if (value === undefined) throw new CredentialError(`the environment variable ${secret.env} is not set`);
  return nonBlank(value, `the environment variable ${secret.env}`);
}

/** The whole file without its last newline, which editors add. */
async function readSecretFile(path: string): Promise<string> {
  try {
    await using file = await open(path);
    // Bounded: the path may be a device or an image by mistake.
    const { buffer, bytesRead } = await file.read(Buffer.alloc(MAX_SECRET_FILE + 1), 0);
    if (bytesRead > MAX_SECRET_FILE)
      throw new CredentialError(`the secret file ${path} has over ${MAX_SECRET_FILE} bytes`);
    return nonBlank(buffer.toString('utf8', 0, bytesRead).replace(/\r?\n$/, ''), `the secret file ${path}`);
  } catch (error) {
    if (error instanceof CredentialError) throw error;
    const code = (error as NodeJS.ErrnoException).code ?? 'unknown error';
    throw new CredentialError(`the secret file ${path} cannot be read (${code})`, { cause: error });
  }
}

/** @param what the source of the text, for the message */
function nonBlank(text: string, what: string): string {
  if (text === '') throw new CredentialError(`${what} is empty`);
  if (text.trim() === '') throw new CredentialError(`${what} is only white space`);
  return text;
}

function checked(credential: ReadCredential): ReadCredential {
  if (credential.username.includes(':')) throw new CredentialError('a username cannot hold a colon (RFC 7617)');
  return credential;
}

const HUB_HOSTS = ['docker.io', 'index.docker.io', 'registry-1.docker.io', 'registry.hub.docker.com'];

/** The server name by which `docker login` stores a credential; Docker Hub has a special one. */
function helperServer(upstream: URL): string {
  return HUB_HOSTS.includes(upstream.host) ? 'https://index.docker.io/v1/' : upstream.host;
}
