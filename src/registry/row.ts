import type { Action } from '../access/index.ts';
import type { PassedGate } from '../server/index.ts';
import type { Wanted } from './failure.ts';
import type { RegistryRequest } from './request.ts';

/** One kind of request: its action at the gate, what a failure reports as unknown, and its answer. */
export interface Row<Request extends RegistryRequest = RegistryRequest> {
  readonly action: Action;
  readonly wanted: Wanted;
  /** The actions that a client asks the token service for. @default 'pull' */
  readonly scope?: string;
  /** Whether every client may see what the request is for; see `ParsedRequest.isPublic`. @default it may */
  readonly isPublic?: ((request: Request) => boolean | Promise<boolean>) | undefined;
  readonly answer: (request: Request, gate: PassedGate) => Promise<void> | void;
}

/** The requests for repositories whose home is this server, or whose pushes pass through it. */
export interface PushedRows {
  /**
   * Undefined where a request is answered as for every mirrored repository.
   *
   * @throws {OciError} for a method that the path does not have
   */
  rowOf(request: RegistryRequest): Row | undefined;
}
