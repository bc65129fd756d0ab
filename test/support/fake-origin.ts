import type { ByteSource } from '../../src/lib/index.ts';
import {
  type BlobLocation,
  type Digest,
  type FailureKind,
  formatReference,
  type ListQuery,
  type OpenBlobOptions,
  type Origin,
  type OriginBlob,
  type OriginBlobHead,
  type OriginFailure,
  type OriginList,
  type OriginManifest,
  type OriginManifestHead,
  type OriginOptions,
  type OriginSource,
  type Reference,
  type Repository,
} from '../../src/oci/index.ts';

/** What an origin is asked for. */
export type OriginMethod = 'headManifest' | 'getManifest' | 'headBlob' | 'openBlob' | 'locateBlob' | 'list';

/** One question, as it was asked. */
export interface OriginCall {
  readonly method: OriginMethod;
  readonly repository: Repository;
  /** Tag or digest. */
  readonly what: string;
  /** First byte wanted of a blob. */
  readonly offset: number;
  /** Last byte wanted of a blob. */
  readonly end: number | undefined;
  /** The upstream that is to be asked first, or alone, for a blob. */
  readonly prefer?: string | undefined;
  readonly only?: string | undefined;
  readonly signal: AbortSignal | undefined;
}

/** How a blob is delivered; what is left out is as it should be. */
export interface Delivery {
  readonly body: ByteSource;
  /** The size it claims to have; null: it does not say. */
  readonly size?: number | null;
  /** Where it claims to begin. */
  readonly offset?: number;
  /** Where it claims to end. */
  readonly end?: number;
  /** Its name. */
  readonly upstream?: string;
  /** Called where it is given up for another; undefined: there is no other. */
  readonly giveUp?: () => void;
}

/** Content by its digest, as test images have it. */
export interface Held {
  readonly digest: Digest;
  readonly mediaType: string;
  readonly bytes: Buffer;
}

/** A failure of the outside, of any kind. */
export class FakeFailure extends Error implements OriginFailure {
  override readonly name = 'FakeFailure';
  readonly kind: FailureKind;
  readonly upstream: string;
  readonly retryAfter = undefined;

  constructor(kind: FailureKind, upstream = 'fake') {
    super(`${upstream} is ${kind}`);
    this.kind = kind;
    this.upstream = upstream;
  }
}

/**
 * An {@link Origin} in memory that counts what it is asked, and that a test makes wait, fail or lie on cue.
 *
 * What it holds, it holds per repository: what one has, another does not.
 */
export class FakeOrigin implements Origin {
  /** What a request to the cache carries. */
  readonly source: OriginSource = () => Promise.resolve(this);
  readonly calls: OriginCall[] = [];
  /** Runs before each answer: what it waits for, the answer waits for; what it throws is the answer. */
  before: (call: OriginCall) => unknown = () => {};
  /** How a blob's body comes; undefined: all that was asked for, in pieces. */
  deliver: (call: OriginCall, bytes: Buffer | undefined) => Delivery | undefined = () => undefined;
  /** Upstreams that may have blobs, in order. @default it does not say */
  upstreams: readonly string[] = [];
  /** Parts are refused where nothing but a part will do. */
  refusesParts = false;
  /** Bytes of each piece of a body. */
  pieceSize = 64 * 1024;
  readonly #blobs = new Map<string, Buffer>();
  readonly #manifests = new Map<string, Held>();

  /** Puts blobs into a repository. */
  addBlobs(repository: Repository, ...blobs: readonly Pick<Held, 'digest' | 'bytes'>[]): void {
    for (const { digest, bytes } of blobs) this.#blobs.set(keyIn(repository, digest), bytes);
  }

  /** Puts a manifest into a repository, under its digest and under tags. */
  addManifest(repository: Repository, manifest: Held, ...tags: readonly string[]): void {
    for (const each of [manifest.digest, ...tags]) this.#manifests.set(keyIn(repository, each), manifest);
  }

  /** How often it was asked, for everything or by one method. */
  count(method?: OriginMethod): number {
    return method === undefined ? this.calls.length : this.calls.filter((call) => call.method === method).length;
  }

  /** The methods of the calls since `from`, in order. */
  methods(from = 0): readonly OriginMethod[] {
    return this.calls.slice(from).map((call) => call.method);
  }

  async headManifest(
    repository: Repository,
    reference: Reference,
    options?: OriginOptions,
  ): Promise<OriginManifestHead> {
    const { bytes: _, ...head } = await this.#manifest('headManifest', { repository, reference, options });
    return head;
  }

  getManifest(repository: Repository, reference: Reference, options?: OriginOptions): Promise<OriginManifest> {
    return this.#manifest('getManifest', { repository, reference, options });
  }

  async headBlob(repository: Repository, digest: Digest, options?: OriginOptions): Promise<OriginBlobHead> {
    await this.#asked({ method: 'headBlob', repository, what: digest, options });
    const bytes = this.#blobs.get(keyIn(repository, digest));
    if (bytes === undefined) throw new FakeFailure('not-found', upstreamOf(repository));
    return { size: bytes.length, upstream: upstreamOf(repository), visibility: 'public' };
  }

  async openBlob(repository: Repository, digest: Digest, options: OpenBlobOptions = {}): Promise<OriginBlob> {
    const call = await this.#asked({ method: 'openBlob', repository, what: digest, options });
    if (this.refusesParts && options.partOnly === true) throw new FakeFailure('invalid', upstreamOf(repository));
    const held = this.#blobs.get(keyIn(repository, digest));
    const delivery = this.deliver(call, held);
    if (delivery === undefined && held === undefined) throw new FakeFailure('not-found', upstreamOf(repository));
    const whole = held ?? Buffer.alloc(0);
    const body = delivery?.body ?? bodyOf(whole.subarray(call.offset, (call.end ?? whole.length) + 1), this.pieceSize);
    // As the real one: the signal ends a body as well as a question.
    call.signal?.addEventListener('abort', () => body.cancel(call.signal?.reason as Error), { once: true });
    return {
      offset: delivery?.offset ?? call.offset,
      size: delivery?.size === null ? undefined : (delivery?.size ?? whole.length),
      body,
      upstream: delivery?.upstream ?? upstreamOf(repository),
      visibility: 'public',
      end: delivery?.end,
      giveUp: delivery?.giveUp,
    };
  }

  upstreamsOf(): readonly string[] {
    return this.upstreams;
  }

  async locateBlob(repository: Repository, digest: Digest): Promise<BlobLocation | undefined> {
    await this.#asked({ method: 'locateBlob', repository, what: digest });
    return undefined;
  }

  async list(repository: Repository, query: ListQuery): Promise<OriginList> {
    await this.#asked({ method: 'list', repository, what: query.kind });
    return {
      bytes: Buffer.from('{}'),
      mediaType: 'application/json',
      next: undefined,
      filtersApplied: undefined,
      upstream: upstreamOf(repository),
      visibility: 'public',
    };
  }

  async #manifest(
    method: 'headManifest' | 'getManifest',
    at: { readonly repository: Repository; readonly reference: Reference; readonly options: OriginOptions | undefined },
  ): Promise<OriginManifest> {
    const { repository, reference, options } = at;
    const what = formatReference(reference);
    await this.#asked({ method, repository, what, options });
    const held = this.#manifests.get(keyIn(repository, what));
    if (held === undefined) throw new FakeFailure('not-found', upstreamOf(repository));
    const { digest, mediaType, bytes } = held;
    return { digest, mediaType, bytes, size: bytes.length, upstream: upstreamOf(repository), visibility: 'public' };
  }

  async #asked(asked: {
    readonly method: OriginMethod;
    readonly repository: Repository;
    readonly what: string;
    readonly options?: OpenBlobOptions | undefined;
  }): Promise<OriginCall> {
    const { method, repository, what, options } = asked;
    const { offset = 0, end, prefer, only, signal } = options ?? {};
    const call: OriginCall = { method, repository, what, offset, end, prefer, only, signal };
    this.calls.push(call);
    signal?.throwIfAborted();
    const left = Promise.withResolvers<never>();
    left.promise.catch(() => {});
    signal?.addEventListener('abort', () => left.reject(signal.reason as Error), { once: true });
    await Promise.race([this.before(call), left.promise]);
    return call;
  }
}

/**
 * A body that comes when the test says so. As strict as the contract of {@link ByteSource}: one read at a time, and a
 * piece is scribbled over at the next read.
 */
export class CuedBody implements ByteSource {
  readonly #pieces: (Buffer | Error | undefined)[] = [];
  #last: Buffer | undefined;
  #reader: PromiseWithResolvers<Buffer | undefined> | undefined;
  #hungry = Promise.withResolvers<void>();
  #cancelled: Error | undefined;
  readonly #ended = Promise.withResolvers<void>();
  #over = false;

  /** Resolves when it is given up before its end. */
  get cancelled(): Promise<void> {
    return this.#ended.promise;
  }

  get isCancelled(): boolean {
    return this.#cancelled !== undefined;
  }

  /** The next piece; a copy is handed out. */
  send(bytes: Uint8Array): this {
    return this.#push(Buffer.from(bytes));
  }

  end(): this {
    return this.#push(undefined);
  }

  /** Breaks off. */
  cut(error: Error = new FakeFailure('unavailable')): this {
    return this.#push(error);
  }

  /** Resolves when everything sent was taken and more is wanted: whatever was taken before has been dealt with. */
  async hungry(): Promise<void> {
    while (this.#reader === undefined || this.#pieces.length > 0) await this.#hungry.promise;
  }

  read(): Promise<Buffer | undefined> {
    if (this.#reader !== undefined) return Promise.reject(new TypeError('one read() at a time'));
    this.#last?.fill(0xee);
    this.#last = undefined;
    if (this.#cancelled !== undefined) return Promise.reject(this.#cancelled);
    if (this.#over) return Promise.resolve(undefined);
    this.#reader = Promise.withResolvers();
    const { promise } = this.#reader;
    this.#serve();
    return promise;
  }

  cancel(reason: Error = new Error('The body was cancelled')): void {
    if (this.#cancelled !== undefined || this.#over) return;
    this.#cancelled = reason;
    this.#ended.resolve();
    this.#reader?.reject(reason);
    this.#reader = undefined;
  }

  #push(piece: Buffer | Error | undefined): this {
    this.#pieces.push(piece);
    this.#serve();
    return this;
  }

  #serve(): void {
    if (this.#reader === undefined) return;
    if (this.#pieces.length === 0) {
      this.#hungry.resolve();
      this.#hungry = Promise.withResolvers();
      return;
    }
    const piece = this.#pieces.shift();
    const reader = this.#reader;
    this.#reader = undefined;
    if (piece instanceof Error) {
      this.#over = true;
      reader.reject(piece);
    } else {
      if (piece === undefined) this.#over = true;
      this.#last = piece;
      reader.resolve(piece);
    }
  }
}

/** A body that comes as fast as it is read, in pieces of one size. */
export function bodyOf(bytes: Uint8Array, pieceSize = 64 * 1024): CuedBody {
  const body = new CuedBody();
  for (let start = 0; start < bytes.length; start += pieceSize) body.send(bytes.subarray(start, start + pieceSize));
  return body.end();
}

/** Something a test holds back: a request that passes waits until it is opened. */
export class Gate {
  readonly #open = Promise.withResolvers<void>();
  readonly #reached = Promise.withResolvers<void>();

  /** Resolves when a request stands before it. */
  get reached(): Promise<void> {
    return this.#reached.promise;
  }

  pass(): Promise<void> {
    this.#reached.resolve();
    return this.#open.promise;
  }

  open(): void {
    this.#open.resolve();
  }
}

function upstreamOf(repository: Repository): string {
  return `upstream of ${repository.registry}`;
}

function keyIn({ registry, repository }: Repository, what: string): string {
  return `${registry} ${repository} ${what}`;
}
