import type { Guard } from '../access/index.ts';
import type { PassedGate, RequestContext } from '../server/index.ts';

/** A request of the API, before the gate. */
export interface ApiRequest {
  readonly context: RequestContext;
  readonly guard: Guard | undefined;
}

/** A request of the API that has passed the gate. */
export interface GatedRequest extends ApiRequest {
  readonly gate: PassedGate;
  /** Whether the API is open to it for reading: there are no rules, and it was sent on this machine. */
  readonly isOpen: boolean;
  /** Whether what takes `admin` is open too. */
  readonly opensAll: boolean;
}
