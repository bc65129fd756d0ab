import { type FailureKind, isOriginFailure, type OriginFailure } from '../oci/index.ts';

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

/** Why a body did not come, as the error of an origin: one without a kind means that it broke off. */
export function failureOf(
  error: unknown,
  { upstream, another }: { readonly upstream: string; readonly another: boolean },
): Error {
  const { message } = error as Error;
  if (!isOriginFailure(error)) {
    return new OriginError(`${upstream} broke off: ${message}`, {
      kind: 'unavailable',
      upstream,
      another,
      cause: error,
    });
  }
  const { kind, retryAfter } = error;
  return another ? new OriginError(message, { kind, upstream, retryAfter, another, cause: error }) : error;
}
