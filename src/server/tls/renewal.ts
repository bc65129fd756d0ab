import { type FSWatcher, watch } from 'node:fs';
import { stat } from 'node:fs/promises';
import type { Server as HttpsServer } from 'node:https';
import { dirname } from 'node:path';
import { readTlsFiles, type TlsFiles, type TlsPair } from './files.ts';

/** The certificate of one listener. */
export interface ListenerCertificate {
  /** The listener's address as it is written: `*:5443`. */
  readonly listener: string;
  /** The names of the certificate, for messages. */
  readonly subject: string;
  /** Milliseconds since the epoch. */
  readonly expiresAt: number;
  /** Where the certificate is; it may have been read from another file that the configuration named before. */
  readonly file: string;
}

export interface CertificateKeeperOptions {
  /** Called with warnings for the operator: each once, until it changes. */
  readonly onWarning?: ((message: string, error?: unknown) => void) | undefined;
  readonly onRenewed?: ((certificate: ListenerCertificate) => void) | undefined;
  /** Milliseconds between two checks of the files. @default 30_000 */
  readonly interval?: number | undefined;
  /** Milliseconds since the epoch. @default Date.now */
  readonly now?: () => number;
}

/**
 * A certificate with its key; without both until this server has written its files. `serve` names the server whose certificate
 * is replaced on a renewal.
 */
interface OpenedPair extends Partial<Pick<TlsPair, 'cert' | 'key'>> {
  readonly serve: (server: HttpsServer) => void;
}

/** The files are checked this often, whatever the watcher reports: swapped symlinks and network file systems report nothing. */
const INTERVAL = 30_000;
/** Certificate and key are seldom written in the same moment: a pair that does not match yet may match after this. */
const SETTLED = 1000;
const DAY = 24 * 3_600_000;
const EXPIRY_NOTICE = 14 * DAY;
/** This server renews its own certificates when a third of their life is left: later than half of that, its renewal fails. */
const OWN_EXPIRY_NOTICE = 7 * DAY;

interface Kept {
  readonly listener: string;
  files: TlsFiles;
  /** Undefined until this server has written the files. */
  pair: TlsPair | undefined;
  /** Fingerprint of the files when they were last read. */
  stamp: string;
  server: HttpsServer | undefined;
  /** The fault of the files at the last check. */
  complaint: string | undefined;
  /** When the operator was last warned that it expires; milliseconds since the epoch. */
  noticedAt: number;
}

/**
 * The certificates of the listeners. When their files change, new connections get the new certificates; a pair that cannot be
 * used never replaces one in use.
 */
export class CertificateKeeper {
  readonly #options: CertificateKeeperOptions;
  readonly #now: () => number;
  readonly #kept: Kept[] = [];
  readonly #watchers: FSWatcher[] = [];
  #timer: NodeJS.Timeout | undefined;
  #soon: NodeJS.Timeout | undefined;
  #check: Promise<void> = Promise.resolve();

  constructor(options: CertificateKeeperOptions) {
    this.#options = options;
    this.#now = options.now ?? Date.now;
  }

  get certificates(): readonly ListenerCertificate[] {
    return this.#kept.flatMap((kept) => (kept.pair === undefined ? [] : [describe(kept, kept.pair)]));
  }

  /**
   * Reads the files of a listener.
   *
   * @throws {Error} that names the file and its fault; not for files that this server itself writes
   */
  async open(listener: string, files: TlsFiles): Promise<OpenedPair> {
    const stamp = await stampOf(files);
    const pair = await readFirst(files);
    const kept: Kept = {
      listener,
      files,
      pair,
      stamp,
      server: undefined,
      complaint: undefined,
      noticedAt: Number.NEGATIVE_INFINITY,
    };
    this.#kept.push(kept);
    for (const note of pair?.notes ?? []) this.#options.onWarning?.(note);
    if (pair === undefined) {
      this.#options.onWarning?.(`${listener} refuses connections until it has a certificate from ${files.writtenBy}`);
    }
    this.#notice(kept);
    return {
      ...(pair === undefined ? {} : { cert: pair.cert, key: pair.key }),
      serve: (server) => {
        kept.server = server;
      },
    };
  }

  /** Starts to watch the files. */
  start(): void {
    if (this.#kept.length === 0 || this.#timer !== undefined) return;
    this.#timer = setInterval(() => this.#checkNow(), this.#options.interval ?? INTERVAL);
    this.#timer.unref();
    const files = this.#kept.flatMap(({ files: { certFile, keyFile } }) => [certFile, keyFile]);
    // The directory and not the file: most certificates are replaced, not written to.
    for (const directory of new Set(files.map((file) => dirname(file)))) this.#watch(directory);
  }

  stop(): void {
    clearInterval(this.#timer);
    clearTimeout(this.#soon);
    for (const watcher of this.#watchers.splice(0)) watcher.close();
    this.#kept.length = 0;
  }

  /**
   * Reads and checks all files again. The function it returns puts them to use, for all listeners at once.
   *
   * @param moved the files of the listeners, in the order they were opened, where other ones are named now. A listener keeps its
   * certificate until the other one is written.
   * @throws {Error} where one of them cannot be used; nothing has changed then
   */
  async prepare(moved: readonly TlsFiles[] = []): Promise<() => void> {
    const read = await Promise.all(
      this.#kept.map(async (kept, at) => {
        const files = moved[at] ?? kept.files;
        const isOwn = files.writtenBy !== undefined;
        const stamp = await stampOf(files);
        return { kept, files, stamp, pair: isOwn ? await readFirst(files) : await readUsable(files) };
      }),
    );
    return () => {
      for (const { kept, files, stamp, pair } of read) {
        kept.files = files;
        if (pair !== undefined) this.#use(kept, { stamp, pair });
      }
    };
  }

  /** Checks the files now, as a change of them would. */
  check(): void {
    this.#checkNow();
  }

  #watch(directory: string): void {
    try {
      const watcher = watch(directory, { persistent: false }, () => this.#checkSoon());
      // The directory was removed, or too many are watched: the checks at intervals go on.
      watcher.on('error', () => watcher.close());
      this.#watchers.push(watcher);
    } catch {
      // As above.
    }
  }

  #checkSoon(): void {
    clearTimeout(this.#soon);
    this.#soon = setTimeout(() => this.#checkNow(), SETTLED);
    this.#soon.unref();
  }

  #checkNow(): void {
    // One check after the other: a file that changes during a check may have been read already.
    this.#check = this.#check.then(() => this.#checkAll());
  }

  async #checkAll(): Promise<void> {
    for (const kept of this.#kept) {
      this.#notice(kept);
      const stamp = await stampOf(kept.files);
      if (stamp === kept.stamp) continue;
      try {
        this.#use(kept, { stamp, pair: await readUsable(kept.files) });
      } catch (error) {
        this.#complain(kept, { stamp, error: error as Error });
      }
    }
  }

  #use(kept: Kept, { stamp, pair }: { readonly stamp: string; readonly pair: TlsPair }): void {
    kept.stamp = stamp;
    kept.complaint = undefined;
    if (pair.cert === kept.pair?.cert && pair.key === kept.pair.key) return;
    kept.pair = pair;
    kept.noticedAt = Number.NEGATIVE_INFINITY;
    kept.server?.setSecureContext({ cert: pair.cert, key: pair.key, minVersion: 'TLSv1.2' });
    for (const note of pair.notes) this.#options.onWarning?.(note);
    this.#options.onRenewed?.(describe(kept, pair));
    this.#notice(kept);
  }

  /** Keeps the old certificate. A fault that lasts for two checks is not a file half written. */
  #complain(kept: Kept, { stamp, error }: { readonly stamp: string; readonly error: Error }): void {
    if (kept.complaint !== error.message) {
      kept.complaint = error.message;
      this.#checkSoon();
      return;
    }
    // Warned once: files that do not change are not read again.
    kept.stamp = stamp;
    kept.complaint = undefined;
    const message = `The certificate of ${kept.listener} stays as it was: its files changed and cannot be used`;
    this.#options.onWarning?.(message, error);
  }

  /** Warns once a day of a certificate that is about to expire or has expired. */
  #notice(kept: Kept): void {
    if (kept.pair === undefined) return;
    const now = this.#now();
    const { expiresAt, validFrom, subject } = kept.pair;
    const isOwn = kept.files.writtenBy !== undefined;
    // A certificate that lives for days is renewed within days, when a third of its life is left.
    const early = isOwn
      ? Math.min(OWN_EXPIRY_NOTICE, (expiresAt - validFrom) / 6)
      : Math.min(EXPIRY_NOTICE, (expiresAt - validFrom) / 3);
    if (expiresAt - now > early || now - kept.noticedAt < DAY) return;
    kept.noticedAt = now;
    const what = `${expiresAt <= now ? 'expired' : 'expires'} at ${new Date(expiresAt).toISOString()}`;
    const remedy = isOwn ? 'its renewal fails, see `entrepot status`' : `put a new one in ${kept.files.certFile}`;
    this.#options.onWarning?.(`The certificate of ${kept.listener} (${subject}) ${what}; ${remedy}`);
  }
}

function describe({ listener, files }: Kept, { subject, expiresAt }: TlsPair): ListenerCertificate {
  return { listener, subject, expiresAt, file: files.certFile };
}

/** @returns undefined for files of this server's own that cannot be used: they are written again */
async function readFirst(files: TlsFiles): Promise<TlsPair | undefined> {
  if (files.writtenBy === undefined) return readTlsFiles(files);
  return readUsable(files).catch(() => undefined);
}

/** @throws {Error} also for a readable pair that OpenSSL refuses: a key too small, a digest too weak */
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

/** Changes when a file is replaced or written to, symlinks followed; empty for a missing file. */
async function stampOf({ certFile, keyFile }: TlsFiles): Promise<string> {
  const stamps = await Promise.all(
    [certFile, keyFile].map(async (file) => {
      const found = await stat(file, { bigint: true }).catch(() => undefined);
      return found === undefined ? '' : `${found.dev}:${found.ino}:${found.size}:${found.mtimeNs}:${found.ctimeNs}`;
    }),
  );
  return stamps.join(' ');
}
