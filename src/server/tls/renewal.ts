import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Server as HttpsServer } from 'node:https';
import { dirname } from 'node:path';
import { readTlsFiles, type TlsFiles, type TlsPair } from './files.ts';

/** The certificate of one listener. */
export interface ListenerCertificate {
  /** Where it listens, as it is written: `*:5443`. */
  readonly listener: string;
  /** For people: the names it is for. */
  readonly subject: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
}

export interface CertificateKeeperOptions {
  /** Hears what an operator should know: each thing once, until it changes. */
  readonly onWarning: (message: string, error?: unknown) => void;
  readonly onRenewed: (certificate: ListenerCertificate) => void;
  /** Milliseconds between two looks at the files. @default 30_000 */
  readonly interval?: number;
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number;
}

/** A certificate with its key, and where to say whose it is: there it is exchanged. */
export interface OpenedPair extends Pick<TlsPair, 'cert' | 'key'> {
  readonly serve: (server: HttpsServer) => void;
}

/** How often the files are looked at whatever the system tells: a swapped symlink or a network's file system tells nothing. */
const INTERVAL = 30_000;
/** Certificate and key are seldom written at the same moment: what does not fit together yet may do so then. */
const SETTLED = 1000;
const DAY = 24 * 3_600_000;
const EXPIRY_NOTICE = 14 * DAY;

interface Kept {
  readonly listener: string;
  readonly files: TlsFiles;
  pair: TlsPair;
  /** What the files looked like when they were read last. */
  mark: string;
  server: HttpsServer | undefined;
  /** Said already, of what is wrong with the files now. */
  complaint: string | undefined;
  /** When its end was last spoken of; milliseconds since the epoch. */
  noticedAt: number;
}

/**
 * The certificates of the listeners, exchanged as their files change: for connections yet to come, never where the new ones
 * cannot be used.
 */
export class CertificateKeeper {
  readonly #options: CertificateKeeperOptions;
  readonly #now: () => number;
  readonly #kept: Kept[] = [];
  readonly #watchers: FSWatcher[] = [];
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #look: Promise<void> = Promise.resolve();

  constructor(options: CertificateKeeperOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  get certificates(): readonly ListenerCertificate[] {
    return this.#kept.map(describe);
  }

  /** Reads the files of a listener. @throws {Error} that names the file and what is wrong with it */
  async open(listener: string, files: TlsFiles): Promise<OpenedPair> {
    const mark = await markOf(files);
    const pair = await readTlsFiles(files);
    const kept: Kept = {
      listener,
      files,
      pair,
      mark,
      server: undefined,
      complaint: undefined,
      noticedAt: Number.NEGATIVE_INFINITY,
    };
    this.#kept.push(kept);
    for (const note of pair.notes) this.#options.onWarning(note);
    this.#notice(kept);
    const { cert, key } = pair;
    return {
      cert,
      key,
      serve: (server) => {
        kept.server = server;
      },
    };
  }

  /** Begins to look after the files. */
  start(): void {
    if (this.#kept.length === 0 || this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#lookNow(), this.#options.interval ?? INTERVAL);
    this.#timer.unref();
    const files = this.#kept.flatMap(({ files: { certFile, keyFile } }) => [certFile, keyFile]);
    // The directory and not the file: most are replaced, not written to.
    for (const directory of new Set(files.map((file) => dirname(file)))) this.#watch(directory);
  }

  stop(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
    for (const watcher of this.#watchers.splice(0)) watcher.close();
    this.#kept.length = 0;
  }

  /**
   * Reads all files anew, and gives what puts them to use: for all listeners at once, in one go.
   *
   * @throws {Error} where one of them cannot be used; nothing has changed then
   */
  async prepare(): Promise<() => void> {
    const read = await Promise.all(
      this.#kept.map(async (kept) => ({ kept, mark: await markOf(kept.files), pair: await readUsable(kept.files) })),
    );
    return () => {
      for (const { kept, mark, pair } of read) this.#use(kept, { mark, pair });
    };
  }

  #watch(directory: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, () => this.#lookSoon());
      // A directory that goes away, or too many watched: the looks at intervals go on.
      watcher.on('error', () => watcher.close());
      this.#watchers.push(watcher);
    } catch {
      // The same.
    }
  }

  #lookSoon(): void {
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => this.#lookNow(), SETTLED);
    this.#soon.unref();
  }

  #lookNow(): void {
    // One after the other: what changed during a look may have been looked at already.
    this.#look = this.#look.then(() => this.#lookAtAll());
  }

  async #lookAtAll(): Promise<void> {
    for (const kept of this.#kept) {
      this.#notice(kept);
      const mark = await markOf(kept.files);
      if (mark === kept.mark) continue;
      try {
        this.#use(kept, { mark, pair: await readUsable(kept.files) });
      } catch (error) {
        this.#complain(kept, { mark, error: error as Error });
      }
    }
  }

  #use(kept: Kept, { mark, pair }: { readonly mark: string; readonly pair: TlsPair }): void {
    kept.mark = mark;
    kept.complaint = undefined;
    if (pair.cert === kept.pair.cert && pair.key === kept.pair.key) return;
    kept.pair = pair;
    kept.noticedAt = Number.NEGATIVE_INFINITY;
    kept.server?.setSecureContext({ cert: pair.cert, key: pair.key, minVersion: 'TLSv1.2' });
    for (const note of pair.notes) this.#options.onWarning(note);
    this.#options.onRenewed(describe(kept));
    this.#notice(kept);
  }

  /** The old certificate stays. What is wrong for two looks in a row is no file that was half written. */
  #complain(kept: Kept, { mark, error }: { readonly mark: string; readonly error: Error }): void {
    if (kept.complaint !== error.message) {
      kept.complaint = error.message;
      this.#lookSoon();
      return;
    }
    // Once: as they are now they are not read again.
    kept.mark = mark;
    kept.complaint = undefined;
    const message = `The certificate of ${kept.listener} stays as it was: its files changed and cannot be used`;
    this.#options.onWarning(message, error);
  }

  /** Says, once a day, that a certificate is about to expire or has. */
  #notice(kept: Kept): void {
    const now = this.#now();
    const { expiresAt, validFrom, subject } = kept.pair;
    // One that lives for days is renewed within days: a third of its life is left then.
    const early = Math.min(EXPIRY_NOTICE, (expiresAt - validFrom) / 3);
    if (expiresAt - now > early || now - kept.noticedAt < DAY) return;
    kept.noticedAt = now;
    const what = `${expiresAt <= now ? 'expired' : 'expires'} at ${new Date(expiresAt).toISOString()}`;
    const remedy = `put a new one in ${kept.files.certFile}`;
    this.#options.onWarning(`The certificate of ${kept.listener} (${subject}) ${what}; ${remedy}`);
  }
}

function describe({ listener, pair: { subject, expiresAt } }: Kept): ListenerCertificate {
  return { listener, subject, expiresAt };
}

/** @throws {Error} also for what OpenSSL refuses though it can be read: a key too small, a digest too weak */
async function readUsable(files: TlsFiles): Promise<TlsPair> {
  const pair = await readTlsFiles(files);
  const { createSecureContext } = await import('node:tls');
  try {
    createSecureContext({ cert: pair.cert, key: pair.key, minVersion: 'TLSv1.2' });
  } catch (cause) {
    throw new Error(`The certificate in ${files.certFile} cannot be used: ${(cause as Error).message}`, { cause });
  }
  return pair;
}

/** Tells whether files were replaced or written to, symlinks followed; the same for a file that is gone. */
async function markOf({ certFile, keyFile }: TlsFiles): Promise<string> {
  const marks = await Promise.all(
    [certFile, keyFile].map(async (file) => {
      const found = await stat(file, { bigint: true }).catch(() => undefined);
      return found === undefined ? '' : `${found.dev}:${found.ino}:${found.size}:${found.mtimeNs}:${found.ctimeNs}`;
    }),
  );
  return marks.join(' ');
}
