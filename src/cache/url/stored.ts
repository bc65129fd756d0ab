import { abortable } from '../../lib/index.ts';
import type { MetadataStore, UrlRecord } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import type { CheckedBlob, Verification } from '../integrity/index.ts';
import type { ReadTimes } from '../metadata/index.ts';
import { type InUse, releasing, StoredReader } from '../transfer/index.ts';
import { ageOf, ageOnArrival, freshUntil, isFreshUrl, mayBeServedStale, renewedHeaders } from './policy.ts';
import { UrlRecords } from './records.ts';
import type { KeptUrl, UrlKey, UrlRequest, UrlResponse } from './request.ts';
import { nothingOf, shownHeaders, wantedPart } from './transfers.ts';

export interface StoredUrlsOptions {
  readonly metadata: MetadataStore;
  readonly verification: Verification;
  readonly readTimes: ReadTimes;
  readonly inUse: InUse;
  readonly telemetry: Telemetry;
  readonly now: () => number;
}

/** What a record is served as. */
export interface UrlServing {
  readonly outcome: 'HIT' | 'STALE' | 'REVALIDATED';
  readonly warning?: string;
}

/** A record that was confirmed so lately is not written anew where it says nothing new. Milliseconds. */
const NOTED_LATELY = 60_000;

/** What is kept by URL: whether it holds, and as what it is served. */
export class StoredUrls {
  readonly records: UrlRecords;
  readonly #options: StoredUrlsOptions;

  constructor(options: StoredUrlsOptions) {
    this.#options = options;
    this.records = new UrlRecords(options.metadata, options.telemetry);
  }

  /** What is kept, if its bytes are still here. */
  async find(key: UrlKey, { signal }: UrlRequest): Promise<UrlRecord | undefined> {
    const record = await abortable(this.records.get(key), signal);
    if (record === undefined) return undefined;
    const size = await this.#options.verification.size(record.digest, record.size);
    return size === undefined ? undefined : record;
  }

  /** Whether it may be served without a question. */
  holds(record: UrlRecord, { rules }: UrlRequest): boolean {
    return rules.immutable || isFreshUrl(record, this.#options.now());
  }

  /** Serves what is here; undefined where its bytes are gone. */
  async serve(record: UrlRecord, serving: UrlServing, request: UrlRequest): Promise<KeptUrl | undefined> {
    if (request.method === 'HEAD') return this.head(record, serving);
    const { verification, readTimes, inUse } = this.#options;
    const { digest, size } = record;
    // From here on, so that it is not evicted between being found and being opened.
    const release = inUse.hold(digest);
    let found: CheckedBlob | undefined;
    try {
      found = await verification.open(digest, { expectedSize: size, signal: request.signal });
    } finally {
      if (found === undefined) release();
    }
    if (found === undefined) return undefined;
    readTimes.note(digest);
    const { blob, examination } = found;
    const part = wantedPart(request, record);
    const span = part === undefined || part === 'unsatisfiable' ? { start: 0, end: undefined } : part;
    const stored = new StoredReader(blob, span, {
      examination,
      onRot: (rot) => verification.quarantine(digest, rot, blob.mark),
    });
    const reader = releasing(stored, release);
    return { ...this.#kept(record, serving), part, reader: part === 'unsatisfiable' ? nothingOf(reader) : reader };
  }

  /** The head of what is here, which is the same for any part (RFC 9110, section 14.2). */
  head(record: UrlRecord, serving: UrlServing): KeptUrl {
    return { ...this.#kept(record, serving), part: undefined, reader: nothingOf() };
  }

  /** Serves it although the upstream does not confirm it; undefined where that must not be, or its bytes are gone. */
  async stale(record: UrlRecord, reason: string, request: UrlRequest): Promise<KeptUrl | undefined> {
    if (!mayBeServedStale(record.headers)) return undefined;
    return this.serve(record, { outcome: 'STALE', warning: `${reason}; serving what it said before` }, request);
  }

  /** Takes note that the upstream stands by what is here. */
  async renew(key: UrlKey, record: UrlRecord, { headers: said }: UrlResponse): Promise<UrlRecord> {
    const checkedAt = this.#options.now();
    const headers = renewedHeaders(record.headers, said);
    const renewed = { ...record, headers, checkedAt, freshUntil: freshUntil(headers, checkedAt) };
    const sinceNoted = checkedAt - record.checkedAt;
    const isNoted = record.freshUntil === 0 && sinceNoted >= 0 && sinceNoted < NOTED_LATELY;
    // What is asked for each time would otherwise be written each time.
    if (renewed.freshUntil > 0 || !isNoted) await this.records.put(key, renewed);
    return renewed;
  }

  #kept(record: UrlRecord, { outcome, warning }: UrlServing): Omit<KeptUrl, 'part' | 'reader'> {
    const age = outcome === 'REVALIDATED' ? ageOnArrival(record.headers) : ageOf(record, this.#options.now());
    return { kind: 'kept', headers: shownHeaders(record.headers), size: record.size, outcome, age, warning };
  }
}
