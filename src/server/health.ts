import type { Door } from './door.ts';
import { createPageDoor, type Page } from './page.ts';

export interface HealthOptions {
  /** Whether the server takes pulls: false while it starts and while it drains. */
  readonly ready: () => boolean;
  /** Whether requests are refused because there are too many: see `OverloadEpisodes`. @default never */
  readonly overloaded?: () => boolean;
}

type Probe = (accept: string | undefined) => Page;

/** The door of load balancers and orchestrators; open to every client. */
export function createHealthDoor(options: HealthOptions): Door {
  const probes = Object.entries(healthProbes(options));
  return createPageDoor(
    probes.map(([path, probe]) => ({
      route: 'health',
      paths: [path],
      page: ({ request }) => probe(request.headers.accept),
    })),
  );
}

/**
 * The probes by path. `/healthz` tells that the process answers: `ok` as text, `{"status":"ok"}` to a client that asks for
 * JSON. `/readyz` tells whether it takes work: 200, or 503 with the reason while it starts, stops or is overloaded.
 * `/health` is `{"status":"healthy"}`. The first two answer under `/_rmirror/` too, where Rewriting Mirror has them. No
 * probe asks an upstream: a registry that is down is no reason to restart this server.
 */
export function healthProbes({ ready, overloaded = () => false }: HealthOptions): Readonly<Record<string, Probe>> {
  const alive: Probe = (accept) => page(200, 'ok', accept);
  const readiness: Probe = (accept) => {
    if (!ready()) return page(503, 'not ready', accept);
    return overloaded() ? page(503, 'overloaded', accept) : page(200, 'ok', accept);
  };
  return {
    '/healthz': alive,
    '/_rmirror/healthz': alive,
    '/readyz': readiness,
    '/_rmirror/readyz': readiness,
    '/health': () => json(200, 'healthy'),
  };
}

function page(status: number, word: string, accept: string | undefined): Page {
  return asksForJson(accept) ? json(status, word) : { status, contentType: 'text/plain; charset=utf-8', body: word };
}

function json(status: number, word: string): Page {
  return { status, contentType: 'application/json', body: JSON.stringify({ status: word }) };
}

/** True where the client names JSON itself: a probe's wildcard gets the text. */
function asksForJson(accept: string | undefined): boolean {
  return accept !== undefined && /\bapplication\/(?:[a-z.-]+\+)?json\b/i.test(accept.slice(0, 1024));
}
