import type { AccessRequest, Authorize, Principal } from '../access/index.ts';
import type { RequestContext } from './exchange/index.ts';

/** One kind of request. The registry API, the pages, the mirror routes are doors; so are an API or a console. `app/` has the list. */
export interface Door {
  /** Recognizes a request by its method and path; undefined where it belongs to another door. Every request passes here. */
  readonly open: (context: RequestContext) => DoorRequest | undefined;
}

/** One request at its door. Dispatch calls `parse`, then the gate, then `answer`. */
export interface DoorRequest {
  /**
   * Whether it takes a slot of `limits.max_inflight`, counts against the rate of its client, and is refused where it has passed
   * this server before: whatever may ask another server.
   */
  readonly takesSlot: boolean;
  /**
   * Checks and parses the request.
   *
   * @throws {OciError} or an error that `fail` understands
   */
  readonly parse: () => ParsedRequest;
  /**
   * Answers an error in the protocol of this door. Returns false where it does not know the error: dispatch then answers an
   * `OciError` in the registry's form, and anything else as a defect of this server. @default knows none
   */
  readonly fail?: (error: unknown) => boolean;
}

export interface ParsedRequest {
  /** What the gate decides on; undefined where every client may. */
  readonly access: Omit<AccessRequest, 'principal'> | undefined;
  /**
   * How a client that has shown no credential may log in: `bearer` at the token service, with the scope it would ask for; `basic`
   * with a password; `session` in a way of the door's own, which no dialog of a browser is for. @default basic
   */
  readonly challenge?: { readonly scope: string | undefined } | 'session' | undefined;
  /**
   * Identifies the client in a way of the door's own, such as a session; undefined where it shows nothing of the kind. Then its
   * `Authorization` is looked at, also where `access` is undefined. Asked with and without rules. Rejects with an error that `fail`
   * understands. @default there is no such way
   */
  readonly identify?: (() => Promise<Principal | undefined>) | undefined;
  /**
   * Whether every client may see the repository, where the gate makes that the condition. Rejects with an error that `fail`
   * understands. @default true for each: no credential of this server is used
   */
  readonly isPublic?: (() => boolean | Promise<boolean>) | undefined;
  /**
   * Sends the answer. Rejects with an error that `fail` understands.
   *
   * @param gate asks about more than the request names, as for each entry of a list
   */
  readonly answer: (gate: PassedGate) => Promise<void> | void;
}

/** A request that has passed the gate. */
export interface PassedGate {
  readonly principal: Principal;
  /** Whether what a list names is to be decided name by name: other clients may see something else. */
  readonly isFiltered: boolean;
  readonly authorize: Authorize;
}
