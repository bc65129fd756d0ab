import type { Telemetry } from '../../telemetry/index.ts';
import { UpstreamError } from '../error.ts';
import type { RequestKind } from '../upstream-request.ts';
import { Circuit, type CircuitOptions, type CircuitRefusal, type CircuitState } from './circuit.ts';
import type { HealthSignal } from './signal.ts';

/** Which questions a circuit is about. */
export type HealthScope = 'all' | RequestKind;

/** How an upstream fares: its circuit for all questions or, where that is closed, the first that is not. */
export interface HealthView {
  readonly state: CircuitState;
  /** `all` where nothing is wrong. */
  readonly scope: HealthScope;
  /** Milliseconds since the epoch; the three are absent where nothing is wrong. */
  readonly openUntil?: number;
  readonly since?: number;
  /** What failed last. */
  readonly reason?: string;
}

/** One question that was let through; what became of it is told once, later calls are ignored. */
export interface Permit {
  /** The upstream is there; whether this kind of question is answered shows later. */
  readonly reached: () => void;
  readonly settle: (verdict: HealthSignal) => void;
}

/** Options of {@link Health}. */
export interface HealthOptions extends CircuitOptions {
  readonly registry: string;
  readonly upstream: string;
  readonly telemetry: Telemetry;
}

const SCOPES = ['all', 'pull', 'check', 'list', 'blob'] as const satisfies readonly HealthScope[];

/**
 * The circuits of one upstream: one for all questions, and one for each kind.
 *
 * What says that the upstream is not there holds for every question. What it says to one kind of question (429), or where
 * it leads one (a storage that is down), holds for that kind: a Docker Hub that gives no more pulls still says for free
 * whether a tag has moved, and still sends the layers of what was pulled.
 */
export class Health {
  readonly #options: HealthOptions;
  readonly #circuits: ReadonlyMap<HealthScope, Circuit>;

  constructor(options: HealthOptions) {
    this.#options = options;
    this.#circuits = new Map(SCOPES.map((scope) => [scope, new Circuit(options)]));
  }

  /** Lets a question through. @throws {UpstreamError} of the kind of the failure that stands in its way */
  admit(kind: RequestKind): Permit {
    const scopes = ['all', kind] as const;
    // Both are looked at before either is entered: a probe must not be spent on a question the other circuit refuses.
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
        // Where they were not settled just now; else this changes nothing.
        this.#circuit('all').release(tickets.all);
        this.#circuit(kind).release(tickets.own);
      },
    };
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
};
