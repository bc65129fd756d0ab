import { abortable, type BlobReader, type ByteSpan, WHOLE } from '../../lib/index.ts';
import type { MetadataStore, UrlRecord } from '../../store/index.ts';
import type { Telemetry } from '../../telemetry/index.ts';
import type { CheckedBlob, Verification } from '../integrity/index.ts';
import type { ReadTimes } from '../metadata/index.ts';
import { type InUse, releasing, StoredReader } from '../transfer/index.ts';
import { ageOf, freshUntil, isFreshUrl, renewedHeaders } from './policy.ts';
import { UrlRecords } from './records.ts';
import type { KeptUrl, UrlKey, UrlRequest, UrlResponse } from './request.ts';
import { nothingOf, shownHeaders, wantedPart, wantedParts } from './transfers.ts';

export interface StoredUrlsOptions {
  readonly metadata: MetadataStore;
  readonly verification: Verification;
  readonly readTimes: ReadTimes;
  readonly inUse: InUse;
  readonly telemetry: Telemetry;
  readonly now: () => number;
}

/** How a record is served. */
interface UrlServing {
  readonly outcome: 'HIT' | 'STALE' | 'REVALIDATED';
  readonly warning?: string;
}

/** Milliseconds in which a confirmation that changes nothing else is not written again. */
const RECENTLY_WRITTEN = 60_000;

/** The stored answers by URL: whether a record is fresh, and serving it. */
export class StoredUrls {
  readonly records: UrlRecords;
  readonly #options: StoredUrlsOptions;

  constructor(options: StoredUrlsOptions) {
    this.#options = options;
    this.records = new UrlRecords(options.metadata, options.telemetry);
  }

  /** The record of a URL whose blob is stored. */
  async find(key: UrlKey, { signal }: UrlRequest): Promise<UrlRecord | undefined> {
    const record = await abortable(this.records.get(key), signal);
    if (record === undefined) return undefined;
    const size = await this.#options.verification.size(record.digest, record.size);
    return size === undefined ? undefined : record;
  }

  /** Whether a record may be served without asking the upstream. */
  holds(record: UrlRecord, { rules }: UrlRequest): boolean {
    return rules.immutable || isFreshUrl(record, this.#options.now());
  }

  /** Serves a record; undefined where its blob is lost. */
  async serve(record: UrlRecord, serving: UrlServing, request: UrlRequest): Promise<KeptUrl | undefined> {
    if (request.method === 'HEAD') return this.head(record, serving);
    const several = wantedParts(request, record);
    const part = several === undefined ? wantedPart(request, record) : (several[0] ?? 'unsatisfiable');
    const reader = await this.#open(record, part === undefined || part === 'unsatisfiable' ? WHOLE : part, request);
    if (reader === undefined) return undefined;
    const kept = this.#kept(record, serving);
    if (part === 'unsatisfiable') return { ...kept, part, reader: nothingOf(reader) };
    if (several === undefined || several.length === 1) return { ...kept, part, reader };
    const open = async (next: ByteSpan): Promise<BlobReader> => {
      const opened = await this.#open(record, next, request);
      if (opened === undefined) throw new Error('The stored content was lost between two parts of an answer');
      return opened;
    };
    return { ...kept, part, reader, several: { parts: several, open } };
  }

  /** Opens a span of a record's content; undefined where it is lost. */
  async #open(record: UrlRecord, span: ByteSpan, { signal }: UrlRequest): Promise<BlobReader | undefined> {
    const { verification, readTimes, inUse } = this.#options;
    const { digest, size } = record;
    // From here on, so that it is not evicted between being found and being opened.
    const release = inUse.hold(digest);
    let found: CheckedBlob | undefined;
    try {
      found = await verification.open(digest, { expectedSize: size, signal });
    } finally {
      if (found === undefined) release();
    }
    if (found === undefined) return undefined;
    readTimes.note(digest);
    const { blob, inspection } = found;
    const stored = new StoredReader(blob, span, {
      inspection,
      onCorruption: (corruption) => verification.quarantine(digest, corruption, blob.mark),
    });
    return releasing(stored, release);
  }

  /** The head of a record, which is the same for any range (RFC 9110, section 14.2). */
  head(record: UrlRecord, serving: UrlServing): KeptUrl {
    return { ...this.#kept(record, serving), part: undefined, reader: nothingOf() };
  }

  /** Notes that the upstream has confirmed a record. */
  async renew(key: UrlKey, record: UrlRecord, { headers: received }: UrlResponse): Promise<UrlRecord> {
    const checkedAt = this.#options.now();
    const headers = renewedHeaders(record.headers, received, checkedAt);
    const renewed = { ...record, headers, checkedAt, freshUntil: freshUntil(headers, checkedAt) };
    const sinceWritten = checkedAt - record.checkedAt;
    const isRecent = sinceWritten >= 0 && sinceWritten < RECENTLY_WRITTEN;
    const isWritten = record.freshUntil === 0 && isRecent && saysTheSame(headers, record.headers);
    // A record that is revalidated at each request would otherwise be written at each request.
    if (renewed.freshUntil > 0 || !isWritten) await this.records.put(key, renewed);
    return renewed;
  }

  #kept(record: UrlRecord, { outcome, warning }: UrlServing): Omit<KeptUrl, 'part' | 'reader'> {
    const isConfirmed = outcome === 'REVALIDATED';
    const age = isConfirmed ? ageOf(record, record.checkedAt) || undefined : ageOf(record, this.#options.now());
    return { kind: 'kept', headers: shownHeaders(record.headers), size: record.size, outcome, age, warning };
  }
}

/** Whether two sets of stored headers differ in their times alone. */
function saysTheSame(a: UrlRecord['headers'], b: UrlRecord['headers']): boolean {
  const names = new Set([...Object.keys(a), ...Object.keys(b)]);
  return [...names].every((name) => name === 'date' || name === 'age' || a[name] === b[name]);
}
