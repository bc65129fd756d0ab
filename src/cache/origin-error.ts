import type { FailureKind, OriginFailure } from '../oci/index.ts';

interface OriginErrorOptions extends ErrorOptions {
  readonly kind: FailureKind;
  readonly upstream: string;
  /** Seconds. */
  readonly retryAfter?: number | undefined;
  /** See {@link OriginFailure.another}. @default false */
  readonly another?: boolean;
}

/** What the cache itself finds wrong with an upstream: wrong bytes, a body that breaks off, a status that is a failure. */
export class OriginError extends Error implements OriginFailure {
  override readonly name = 'OriginError';
  readonly kind: FailureKind;
  readonly upstream: string;
  readonly retryAfter: number | undefined;
  readonly another: boolean;

  constructor(message: string, options: OriginErrorOptions) {
    super(message, options);
    this.kind = options.kind;
    this.upstream = options.upstream;
    this.retryAfter = options.retryAfter;
    this.another = options.another ?? false;
  }
}
