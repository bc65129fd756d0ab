import { abortable, type BlobReader, keyOf, WHOLE } from '../../lib/index.ts';
import { parseRange, parseRanges, type RangePart } from '../../oci/index.ts';
import type { BlobStore, UrlRecord } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import type { Capacity } from '../capacity.ts';
import type { Verification } from '../integrity/index.ts';
import { describeIngest, Ingest, planRange, publishIngest, RunningTransfers } from '../transfer/index.ts';
import { holdsIfRange } from './conditions.ts';
import { ageOf, freshUntil, keptHeaders } from './policy.ts';
import type { UrlRecords } from './records.ts';
import type { KeptUrl, UrlKey, UrlRequest, UrlResponse } from './request.ts';
import { hasValidator, strongValidator } from './validator.ts';
import { openVersion } from './version.ts';

export interface UrlTransfersOptions {
  readonly store: BlobStore;
  readonly records: UrlRecords;
  readonly verification: Verification;
  readonly telemetry: Telemetry;
  readonly capacity: Capacity;
  readonly now: () => number;
}

/** One version of a URL on its way in. */
export interface UrlTransfer {
  readonly ingest: Ingest;
  /** The headers that are stored with it. */
  readonly headers: Readonly<Record<string, string>>;
  /** When its answer arrived, in milliseconds since the epoch. */
  readonly checkedAt: number;
}

interface StartedUrlTransfer {
  readonly transfer: UrlTransfer;
  readonly release: () => void;
}

/** The bodies by URL that are coming in: at most one for a URL, which every request for it follows. */
export class UrlTransfers {
  readonly #options: UrlTransfersOptions;
  readonly #running = new RunningTransfers<UrlTransfer>();
  /** Transfers whose version has been replaced since. */
  readonly #disowned = new WeakSet<Ingest>();

  constructor(options: UrlTransfersOptions) {
    this.#options = options;
  }

  /** The running transfer of a URL. */
  get(key: UrlKey): UrlTransfer | undefined {
    return this.#running.get(idOf(key));
  }

  get ingests(): Iterable<Ingest> {
    return this.#running.ingests;
  }

  /** Lets the running transfer of a URL serve its followers, and writes no record for it. */
  disown(key: UrlKey): void {
    const running = this.get(key);
    if (running !== undefined) this.#disowned.add(running.ingest);
  }

  /** Whether a transfer may be started that no request follows; see {@link Ingest.continueUnattended}. */
  get mayContinueUnattended(): boolean {
    return this.#running.mayContinueUnattended;
  }

  /**
   * Starts a transfer with a response that may be kept, and holds it until `release` is called: by then it is followed, or
   * continues unattended. Undefined where a transfer of the URL runs already, or the server is stopping.
   */
  start(key: UrlKey, response: UrlResponse, open: UrlRequest['open']): StartedUrlTransfer | undefined {
    const { store, records, verification, telemetry, capacity, now } = this.#options;
    const id = idOf(key);
    if (this.#running.isStopping || this.#running.get(id) !== undefined) return undefined;
    const headers = keptHeaders(response.headers);
    const checkedAt = now();
    const upstream = URL.parse(key.url)?.host ?? key.route;
    const ingest = new Ingest(
      {
        repository: { registry: `mirror:${key.route}`, repository: withoutQuery(key.url) },
        digest: undefined,
        expectedSize: response.length,
        keep: capacity.mayKeep(response.length),
      },
      {
        open: openVersion(response, { open, upstream }),
        begin: () => store.begin(),
        mayPublish: () => capacity.mayPublish(),
        decided: () => capacity.decided(),
        mayContinue: () => this.#running.mayStayUnattended,
        publish: async (file, { digest, size }) => {
          await verification.commit(file, { digest, size });
          if (this.#disowned.has(ingest)) return;
          await records.put(key, { digest, size, headers, checkedAt, freshUntil: freshUntil(headers, checkedAt) });
        },
        observer: publishIngest(telemetry, { capacity, onSettled: (settled) => this.#running.remove(id, settled) }),
      },
    );
    const transfer = { ingest, headers, checkedAt };
    this.#running.add(id, transfer);
    const anchor = ingest.follow(WHOLE);
    return { transfer, release: () => anchor.close() };
  }

  /**
   * Serves a request from a transfer: the whole, or the part that it asks for. Undefined where that part is far ahead of
   * the bytes that have arrived, or the transfer is giving up.
   */
  async follow(
    { ingest, headers, checkedAt }: UrlTransfer,
    outcome: 'MISS' | 'JOIN',
    request: Pick<UrlRequest, 'range' | 'ifRange' | 'signal'> & { readonly method?: UrlRequest['method'] },
  ): Promise<KeptUrl | undefined> {
    if (ingest.ending) return undefined;
    // Attached before anything is awaited: a transfer without followers may be given up at any time.
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
        age: ageOf({ headers, checkedAt }, this.#options.now()) || undefined,
        warning: undefined,
      } as const;
      if (request.method === 'HEAD') return { ...kept, part: undefined, reader: nothingOf(whole) };
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

  /** Stops every transfer; resolves when they have settled. */
  close(): Promise<void> {
    return this.#running.close();
  }
}

/** The part of a whole answer that a request asks for; undefined: all of it. */
export function wantedPart(
  { range, ifRange }: Pick<UrlRequest, 'range' | 'ifRange'>,
  { headers, size }: Pick<UrlRecord, 'headers' | 'size'>,
): { readonly start: number; readonly end: number } | 'unsatisfiable' | undefined {
  if (range === undefined || !holdsIfRange(ifRange, headers)) return undefined;
  const wanted = parseRange(range, size);
  if (wanted.kind === 'whole') return undefined;
  return wanted.kind === 'unsatisfiable' ? wanted.kind : { start: wanted.start, end: wanted.end ?? size - 1 };
}

/**
 * The several parts of a whole answer that a request asks for (RFC 9110, section 14.2); empty: none of them exists; undefined:
 * it asks for one part or for all.
 */
export function wantedParts(
  { range, ifRange }: Pick<UrlRequest, 'range' | 'ifRange'>,
  { headers, size }: Pick<UrlRecord, 'headers' | 'size'>,
): readonly RangePart[] | undefined {
  return holdsIfRange(ifRange, headers) ? parseRanges(range, size) : undefined;
}

/** Whether a response is of the version that a transfer brings in. */
export function isSameVersion({ headers }: UrlTransfer, other: UrlResponse): boolean {
  const validator = strongValidator(headers);
  return validator !== undefined && hasValidator(other.headers, validator);
}

/** Stored headers as they are served: the age is computed for each answer. */
export function shownHeaders(headers: Readonly<Record<string, string>>): Readonly<Record<string, string>> {
  const { age: _, ...shown } = headers;
  return shown;
}

/** A reader of nothing; closes the reader that it stands in for. */
export function nothingOf(reader?: BlobReader): BlobReader {
  reader?.close();
  return { read: () => Promise.resolve(0), close: () => {} };
}

/** A URL as events name it: its query may hold a credential. */
export function withoutQuery(url: string): string {
  return url.replace(/[?#].*$/s, '');
}

function idOf({ route, url }: UrlKey): string {
  return keyOf(route, url);
}
