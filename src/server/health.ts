/** An answer that is known at once: status, headers and the whole body. */
export interface HealthAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

export interface HealthOptions {
  /** Whether new pulls are wanted: false while starting and while draining. */
  readonly ready: () => boolean;
  /** Whether requests are turned away because there are too many: see `OverloadEpisodes`. @default never */
  readonly overloaded?: () => boolean;
}

/**
 * Answers the questions of load balancers and orchestrators; undefined where the path is none of them.
 *
 * `/healthz` says that the process answers: `ok` as text, `{"status":"ok"}` to a client that asks for JSON. `/readyz`
 * says whether it wants work: 200, or 503 with the reason: it starts or stops, or is overloaded. `/health` is `{"status":"healthy"}`. The first two answer under `/_rmirror/`
 * too, where Rewriting Mirror has them. None of it asks an upstream: a registry that is down is no reason to restart.
 *
 * @param path without the query
 */
export function answerHealth(
  path: string,
  accept: string | undefined,
  { ready, overloaded = () => false }: HealthOptions,
): HealthAnswer | undefined {
  switch (path) {
    case '/healthz':
    case '/_rmirror/healthz':
      return answer(200, 'ok', accept);
    case '/readyz':
    case '/_rmirror/readyz':
      if (!ready()) return answer(503, 'not ready', accept);
      return overloaded() ? answer(503, 'overloaded', accept) : answer(200, 'ok', accept);
    case '/health':
      return json(200, 'healthy');
    default:
      return undefined;
  }
}

function answer(status: number, word: string, accept: string | undefined): HealthAnswer {
  if (asksForJson(accept)) return json(status, word);
  return { status, headers: headersFor('text/plain; charset=utf-8', word), body: word };
}

function json(status: number, word: string): HealthAnswer {
  const body = JSON.stringify({ status: word });
  return { status, headers: headersFor('application/json', body), body };
}

function headersFor(type: string, body: string): Record<string, string> {
  return { 'content-type': type, 'content-length': String(Buffer.byteLength(body)), 'cache-control': 'no-store' };
}

/** True where the client names JSON itself: a probe's wildcard gets the text. */
function asksForJson(accept: string | undefined): boolean {
  return accept !== undefined && /\bapplication\/(?:[a-z.-]+\+)?json\b/i.test(accept.slice(0, 1024));
}
