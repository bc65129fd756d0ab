import { abortable, type BlobReader, keyOf, WHOLE } from '../../lib/index.ts';
import { parseRange } from '../../oci/index.ts';
import type { BlobStore, MetadataStore, UrlRecord } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import type { Verification } from '../integrity/index.ts';
import { describeIngest, Ingest, planRange, publishIngest } from '../transfer/index.ts';
import { holdsIfRange } from './conditions.ts';
import { ageOnArrival, freshUntil, keptHeaders } from './policy.ts';
import type { UrlRecords } from './records.ts';
import type { KeptUrl, UrlKey, UrlRequest, UrlResponse } from './request.ts';
import { hasValidator, strongValidator } from './validator.ts';
import { openVersion } from './version.ts';

export interface UrlTransfersOptions {
  readonly store: BlobStore;
  readonly metadata: MetadataStore;
  readonly records: UrlRecords;
  readonly verification: Verification;
  readonly telemetry: Telemetry;
  /** Whether the disk has room for a body of so many bytes. @default always */
  readonly mayKeep?: ((size: number | undefined) => boolean) | undefined;
  /** Resolves when it is decided which of the transfers under way are kept. */
  readonly decided?: (() => Promise<void>) | undefined;
  /** Told where the disk refuses to take a body. */
  readonly onRefusal?: ((error: unknown) => void) | undefined;
  readonly now: () => number;
}

/** Transfers that go on although nobody waits for them, since those who asked were served something older. */
const MAX_UNATTENDED = 4;

/** One version of a URL on its way in. */
export interface UrlTransfer {
  readonly ingest: Ingest;
  /** The headers that are kept with it. */
  readonly headers: Readonly<Record<string, string>>;
}

export interface StartedUrlTransfer {
  readonly transfer: UrlTransfer;
  readonly release: () => void;
}

/** The bodies by URL that are coming in: at most one for a URL, which everyone who asks for it follows. */
export class UrlTransfers {
  readonly #options: UrlTransfersOptions;
  readonly #running = new Map<string, UrlTransfer>();
  /** Those that bring what has been replaced since. */
  readonly #disowned = new WeakSet<Ingest>();
  #unattended = 0;
  #isStopping = false;

  constructor(options: UrlTransfersOptions) {
    this.#options = options;
  }

  /** The one that runs for a URL. */
  get(key: UrlKey): UrlTransfer | undefined {
    return this.#running.get(keyOf(key.route, key.url));
  }

  get ingests(): Iterable<Ingest> {
    return [...this.#running.values()].map(({ ingest }) => ingest);
  }

  /** Lets the one that runs for a URL serve those who follow it, and be nothing to anybody later. */
  disown(key: UrlKey): void {
    const running = this.get(key);
    if (running !== undefined) this.#disowned.add(running.ingest);
  }

  /** Whether one may be started that nobody follows; see {@link continueUnattended}. */
  get mayGoOnAlone(): boolean {
    return this.#unattended < MAX_UNATTENDED;
  }

  /**
   * Starts one with an answer that may be kept, and holds it until `release` is called: by then it is to be followed, or to
   * go on alone. Undefined where one runs already, or the server is stopping.
   */
  start(key: UrlKey, response: UrlResponse, open: UrlRequest['open']): StartedUrlTransfer | undefined {
    const { store, metadata, records, verification, telemetry, mayKeep, decided, onRefusal, now } = this.#options;
    const id = keyOf(key.route, key.url);
    if (this.#isStopping || this.#running.has(id)) return undefined;
    const headers = keptHeaders(response.headers);
    const checkedAt = now();
    const upstream = URL.parse(key.url)?.host ?? key.route;
    const ingest = new Ingest(
      {
        repository: { registry: `mirror:${key.route}`, repository: withoutQuery(key.url) },
        digest: undefined,
        expectedSize: response.length,
        keep: mayKeep?.(response.length) !== false,
      },
      {
        open: openVersion(response, { open, upstream }),
        begin: () => store.begin(),
        ...(decided === undefined ? {} : { decided }),
        publish: async (file, { digest, size }) => {
          await file.commit(digest);
          const storedAt = Date.now();
          await metadata.putBlob({ digest, size, kind: 'mirrored', storedAt, verifiedAt: storedAt });
          verification.stored(digest, { size, mark: file.mark });
          if (this.#disowned.has(ingest)) return;
          await records.put(key, { digest, size, headers, checkedAt, freshUntil: freshUntil(headers, checkedAt) });
        },
        observer: publishIngest(telemetry, { onRefusal, onSettled: () => this.#running.delete(id) }),
      },
    );
    const transfer = { ingest, headers };
    this.#running.set(id, transfer);
    const anchor = ingest.follow(WHOLE);
    return { transfer, release: () => anchor.close() };
  }

  /** Lets one go on that nobody follows. */
  continueUnattended({ ingest }: UrlTransfer): void {
    ingest.continueUnattended();
    this.#unattended += 1;
    void ingest.settled.finally(() => {
      this.#unattended -= 1;
    });
  }

  /**
   * What a request gets of a transfer: the whole, or the part it asks for; undefined where that part is far ahead of what is
   * here, or the transfer gives up.
   */
  async follow(
    { ingest, headers }: UrlTransfer,
    outcome: 'MISS' | 'JOIN',
    request: Pick<UrlRequest, 'range' | 'ifRange' | 'signal'>,
  ): Promise<KeptUrl | undefined> {
    if (ingest.ending) return undefined;
    // Attached before anything is awaited: a transfer nobody follows may be given up at any time.
    const whole = ingest.follow(WHOLE);
    try {
      if (outcome === 'JOIN') {
        const { telemetry } = this.#options;
        telemetry.publish('ingest.joined', { ...describeIngest(ingest), followers: ingest.followers });
      }
      await abortable(ingest.opened, request.signal);
      const { size } = ingest;
      const kept = {
        kind: 'kept',
        headers: shownHeaders(headers),
        size,
        outcome,
        age: ageOnArrival(headers),
        warning: undefined,
      } as const;
      // Without a size there is no Content-Range to answer with: the whole is a right answer to any Range.
      const range = size === undefined ? undefined : wantedPart(request, { headers, size });
      if (range === undefined) return { ...kept, part: undefined, reader: whole };
      if (range === 'unsatisfiable') return { ...kept, part: range, reader: nothingOf(whole) };
      if (planRange(range.start, ingest) === 'pass') {
        whole.close();
        return undefined;
      }
      const reader = ingest.follow(range);
      whole.close();
      return { ...kept, part: range, reader };
    } catch (error) {
      whole.close();
      throw error;
    }
  }

  /** Ends all of them; resolves when they have settled. */
  async close(): Promise<void> {
    this.#isStopping = true;
    const reason = new Error('The server is stopping');
    await Promise.all(
      [...this.#running.values()].map(({ ingest }) => {
        ingest.stop(reason);
        return ingest.settled;
      }),
    );
  }
}

/** The part a request asks for of what is here whole; undefined: all of it. */
export function wantedPart(
  { range, ifRange }: Pick<UrlRequest, 'range' | 'ifRange'>,
  { headers, size }: Pick<UrlRecord, 'headers' | 'size'>,
): { readonly start: number; readonly end: number } | 'unsatisfiable' | undefined {
  if (range === undefined || !holdsIfRange(ifRange, headers)) return undefined;
  const wanted = parseRange(range, size);
  if (wanted.kind === 'whole') return undefined;
  return wanted.kind === 'unsatisfiable' ? wanted.kind : { start: wanted.start, end: wanted.end ?? size - 1 };
}

/** Whether an answer is of the version that a transfer brings in. */
export function isSameVersion({ headers }: UrlTransfer, other: UrlResponse): boolean {
  const validator = strongValidator(headers);
  return validator !== undefined && hasValidator(other.headers, validator);
}

/** Kept headers as they are shown: how old it is is said anew each time. */
export function shownHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  return Object.fromEntries(Object.entries(headers).filter(([name]) => name !== 'age'));
}

/** A reader of nothing, which lets go of another at once. */
export function nothingOf(reader?: BlobReader): BlobReader {
  reader?.close();
  return { read: () => Promise.resolve(0), close: () => {} };
}

function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/s, '');
}
