import type { AccessRequest } from '../access/index.ts';
import type { RequestContext } from './exchange/index.ts';

/** One kind of request. Push, uploads, the API or a page are doors of their own, in the list that the app composes. */
export interface Door {
  /** Recognizes a request by its method and path; undefined where it belongs to another door. Every request passes here. */
  readonly open: (context: RequestContext) => DoorRequest | undefined;
}

/** One request at its door. Dispatch calls the steps in the order in which they stand here. */
export interface DoorRequest {
  /** Whether it takes a slot of `limits.max_inflight`, and counts against the rate of its client. */
  readonly takesSlot: boolean;
  /**
   * Checks and parses the request.
   *
   * @returns what the gate is asked; undefined where every client may
   * @throws {OciError} or an error that `fail` understands
   */
  readonly parse: () => Omit<AccessRequest, 'principal'> | undefined;
  /** Sends the answer. Rejects with an error that `fail` understands. */
  readonly answer: () => Promise<void> | void;
  /** Answers an error in the protocol of this door; false where it is no error of the request, but a defect of ours. */
  readonly fail: (error: unknown) => boolean;
}
