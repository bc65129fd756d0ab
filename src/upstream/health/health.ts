import type { Telemetry } from '../../telemetry/index.ts';
import { UpstreamError } from '../error.ts';
import type { RequestKind } from '../upstream-request.ts';
import { Circuit, type CircuitOptions, type CircuitRefusal, type CircuitState } from './circuit.ts';
import type { HealthSignal } from './signal.ts';

/** The requests that a circuit is about. */
export type HealthScope = 'all' | RequestKind;

/** The circuit for all requests or, where that is closed, the first that is not. */
export interface HealthView {
  readonly state: CircuitState;
  /** `all` where every circuit is closed. */
  readonly scope: HealthScope;
  /** Milliseconds since the epoch; this and the next two are absent where every circuit is closed. */
  readonly openUntil?: number;
  readonly since?: number;
  /** The last failure. */
  readonly reason?: string;
}

/** An admitted request. It is settled once; later calls are ignored. */
export interface HealthPermit {
  /** The upstream responds; whether this kind of request succeeds shows later. */
  readonly reached: () => void;
  readonly settle: (verdict: HealthSignal) => void;
}

/** Options of {@link Health}. */
export interface UpstreamHealthOptions extends CircuitOptions {
  readonly registry: string;
  readonly upstream: string;
  readonly telemetry: Telemetry;
}

const SCOPES = ['all', 'pull', 'check', 'list', 'blob', 'push'] as const satisfies readonly HealthScope[];

/**
 * The circuits of one upstream: one for all requests, and one for each kind.
 *
 * An upstream that does not respond fails every request. A 429, or a redirect to a storage that is down, affects one kind:
 * a Docker Hub that allows no more pulls still answers HEAD requests for tags, and still sends layers.
 */
export class Health {
  readonly #options: UpstreamHealthOptions;
  readonly #circuits: ReadonlyMap<HealthScope, Circuit>;

  constructor(options: UpstreamHealthOptions) {
    this.#options = options;
    this.#circuits = new Map(SCOPES.map((scope) => [scope, new Circuit(options)]));
  }

  /** @throws {UpstreamError} of the failure's kind where a circuit is open */
  admit(kind: RequestKind): HealthPermit {
    const scopes = ['all', kind] as const;
    // Both are checked before either is entered: a request that one circuit refuses must not be the other's probe.
    for (const scope of scopes) {
      const refusal = this.#circuit(scope).refusal();
      if (refusal !== undefined) throw this.#refuse(scope, refusal);
    }
    const tickets = { all: this.#enter('all'), own: this.#enter(kind) };
    let isReached = false;
    let isSettled = false;
    const reached = (): void => {
      if (isReached || isSettled) return;
      isReached = true;
      this.#succeed('all', tickets.all);
    };
    return {
      reached,
      settle: (verdict) => {
        if (isSettled) return;
        if (verdict.kind === 'answered' || (verdict.kind === 'failed' && !verdict.everywhere)) reached();
        isSettled = true;
        if (verdict.kind === 'answered') return this.#succeed(kind, tickets.own);
        if (verdict.kind === 'failed') {
          const { scope, ticket } = verdict.everywhere
            ? { scope: 'all' as const, ticket: tickets.all }
            : { scope: kind, ticket: tickets.own };
          this.#fail(scope, ticket, verdict.failure);
        }
        // Changes nothing for a circuit that was settled just now.
        this.#circuit('all').release(tickets.all);
        this.#circuit(kind).release(tickets.own);
      },
    };
  }

  /**
   * As {@link admit}, for a request that a storage answers in the upstream's place: whether the upstream is down does not matter, and
   * only a storage that throttles says something of the upstream's health.
   *
   * @throws {UpstreamError} `throttled` where requests of the kind are throttled
   */
  admitElsewhere(kind: RequestKind): Pick<HealthPermit, 'settle'> {
    const refusal = this.#circuit(kind).refusal();
    if (refusal?.kind === 'throttled') throw this.#refuse(kind, refusal);
    if (refusal !== undefined) return { settle: () => {} };
    const ticket = this.#enter(kind);
    return {
      settle: (verdict) => {
        if (verdict.kind === 'failed' && verdict.failure.kind === 'throttled')
          this.#fail(kind, ticket, verdict.failure);
        // In a row of failures of the upstream, the answer of a storage is none.
        else if (verdict.kind === 'answered' && this.#circuit(kind).view() !== undefined) this.#succeed(kind, ticket);
        this.#circuit(kind).release(ticket);
      },
    };
  }

  /** What a request of a kind would meet: `open`: it would fail at once; `half-open`: it would be the probe. */
  stateFor(kind: RequestKind): CircuitState {
    const circuits = [this.#circuit('all'), this.#circuit(kind)];
    if (circuits.some((each) => each.refusal() !== undefined)) return 'open';
    return circuits.some((each) => each.view() !== undefined) ? 'half-open' : 'closed';
  }

  view(): HealthView {
    for (const scope of SCOPES) {
      const found = this.#circuit(scope).view();
      if (found === undefined) continue;
      const { state, until, since, reason } = found;
      return { state, scope, openUntil: until, since, reason };
    }
    return { state: 'closed', scope: 'all' };
  }

  #circuit(scope: HealthScope): Circuit {
    return this.#circuits.get(scope) as Circuit;
  }

  #enter(scope: HealthScope): number {
    const circuit = this.#circuit(scope);
    const { ticket, changed } = circuit.enter();
    if (changed) this.#tell(scope, { state: 'half-open', reason: circuit.view()?.reason ?? '', retryAfterMs: 0 });
    return ticket;
  }

  #succeed(scope: HealthScope, ticket: number): void {
    if (this.#circuit(scope).succeed(ticket)) {
      this.#tell(scope, { state: 'closed', reason: 'it answers again', retryAfterMs: 0 });
    }
  }

  #fail(scope: HealthScope, ticket: number, failure: Parameters<Circuit['fail']>[1]): void {
    const wait = this.#circuit(scope).fail(ticket, failure);
    if (wait !== undefined) this.#tell(scope, { state: 'open', reason: failure.reason, retryAfterMs: wait });
  }

  #tell(scope: HealthScope, event: { state: CircuitState; reason: string; retryAfterMs: number }): void {
    const { registry, upstream, telemetry } = this.#options;
    telemetry.publish('upstream.health', { registry, upstream, scope, ...event });
  }

  #refuse(scope: HealthScope, { kind, reason, since, wait, state }: CircuitRefusal): UpstreamError {
    const { upstream } = this.#options;
    const seconds = Math.max(1, Math.ceil(wait / 1000));
    const how = state === 'open' ? `for another ${seconds} s` : 'while one request tries whether it is back';
    const trouble = `since ${new Date(since).toISOString().replace(/\.\d+Z$/, 'Z')}: ${reason}`;
    return new UpstreamError(`${upstream} is not asked${SUBJECTS[scope]} ${how}, as it is failing ${trouble}`, {
      kind,
      upstream,
      retryAfter: seconds,
    });
  }
}

const SUBJECTS: Readonly<Record<HealthScope, string>> = {
  all: '',
  pull: ' for manifests',
  check: ' where tags point',
  list: ' for lists',
  blob: ' for blobs',
  push: ' to take pushes',
};
