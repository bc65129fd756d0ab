import { OciError } from '../oci/index.ts';
import { hasCode } from '../store/index.ts';
import type { Telemetry } from '../telemetry/index.ts';

/** What the system says of a disk or a directory that cannot be used. A lost connection has other codes. */
const CODES = ['EACCES', 'EIO', 'EMFILE', 'ENFILE', 'ENOENT', 'ENOTDIR', 'EPERM', 'EROFS', 'ESTALE'];

/** Milliseconds between two warnings of the same. */
const WARN_EVERY = 60_000;

/** A disk that fails otherwise than by being full: what is asked of it is answered with 503, and the operator hears of it. */
export class DiskFailures {
  readonly #telemetry: Telemetry;
  #warnedAt = Number.NEGATIVE_INFINITY;

  constructor(telemetry: Telemetry) {
    this.#telemetry = telemetry;
  }

  /** Answers a request. @throws {OciError} UNAVAILABLE where the disk or the records fail; what else the work rejects with */
  async answer<Result>(work: () => Promise<Result> | Result): Promise<Result> {
    try {
      return await work();
    } catch (error) {
      if (!isDiskFailure(error)) throw error;
      this.#warn(error);
      throw new OciError('UNAVAILABLE', 'the disk of this registry cannot be used at the moment; try again later', {
        retryAfter: RETRY_AFTER,
        cause: error,
      });
    }
  }

  #warn(error: unknown): void {
    if (performance.now() - this.#warnedAt < WARN_EVERY) return;
    this.#warnedAt = performance.now();
    const message =
      'Cannot use the disk of hosted repositories. See that the user of the server may write to hosted/ in the cache directory, and that the disk is sound.';
    this.#telemetry.publish('warning', { message, error });
  }
}

const RETRY_AFTER = 30;

function isDiskFailure(error: unknown): boolean {
  // By its name: its class is loaded with the database.
  return hasCode(error, ...CODES) || (error instanceof Error && error.name === 'HostedStoreError');
}
