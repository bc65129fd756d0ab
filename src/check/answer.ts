import { createHttpClient, type HttpClient, HttpError, type HttpHead } from '../net/index.ts';
import { ownHeaders, parseChallenges } from '../upstream/index.ts';
import { plain } from './certificate.ts';
import { type ConnectionAsked, timely } from './connection.ts';
import { answerRemedy, PAGE_REMEDY, silenceRemedy } from './remedy.ts';
import { type CheckTarget, type HttpStep, tenths } from './report.ts';

/**
 * Asks for the upstream's first page without a token: by HEAD, and by GET for one byte where HEAD is not answered well. A
 * status below 500 of either means that it is there.
 */
export async function checkAnswer(target: CheckTarget, asked: ConnectionAsked): Promise<HttpStep> {
  const client = createHttpClient(asked.options);
  const startedAt = performance.now();
  try {
    const head = await ask('HEAD', { target, asked, client });
    const best = isAnsweredWell(head) ? head : better(head, await ask('GET', { target, asked, client }));
    return stepOf(best, target, performance.now() - startedAt);
  } finally {
    await client.close();
  }
}

interface Heard {
  readonly method: 'HEAD' | 'GET';
  /** An error where no answer came. */
  readonly answer: HttpHead | HttpError;
}

interface Asking {
  readonly target: CheckTarget;
  readonly asked: ConnectionAsked;
  readonly client: HttpClient;
}

async function ask(method: Heard['method'], { target, asked, client }: Asking): Promise<Heard> {
  const { url, addresses, signal } = asked;
  const headers = { ...ownHeaders(target.spec), ...(method === 'GET' ? { range: 'bytes=0-0' } : {}) };
  try {
    const answer = await client.open({ method, url, headers, addresses, signal });
    answer.body.cancel();
    return { method, answer };
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    const timed = timely(error, asked);
    if (timed.code === 'aborted') signal.throwIfAborted();
    return { method, answer: timed };
  }
}

function isAnsweredWell({ answer }: Heard): boolean {
  return !(answer instanceof HttpError) && (answer.status < 400 || answer.status === 401);
}

/** The one that says more: an answer more than none, one below 500 more than one above, else the later. */
function better(first: Heard, second: Heard): Heard {
  const rank = ({ answer }: Heard): number => (answer instanceof HttpError ? 0 : answer.status >= 500 ? 1 : 2);
  return rank(first) > rank(second) ? first : second;
}

function stepOf({ method, answer }: Heard, { kind, path, spec }: CheckTarget, duration: number): HttpStep {
  const durationMs = tenths(duration);
  const what = `${method} ${new URL(spec.url + path).pathname}`;
  if (answer instanceof HttpError) {
    return {
      step: 'http',
      outcome: 'failed',
      durationMs,
      method,
      status: 0,
      challenges: [],
      summary: `${what}: ${answer.message}`,
      remedy: silenceRemedy(answer, new URL(spec.url).protocol),
    };
  }
  const { status, headers } = answer;
  const challenges = parseChallenges(headers['www-authenticate']).map(({ scheme, params }) => ({
    scheme: plain(scheme),
    realm: shownRealm(params['realm']),
  }));
  const isFine = status < 400 || (status === 401 && (challenges.length > 0 || kind === 'mirror'));
  const to = status >= 300 && status < 400 ? shownRealm(headers['location']) : null;
  const wants = challenges.map(({ scheme, realm }) => (realm === null ? scheme : `${scheme} of ${realm}`)).join(', ');
  const summary = `${what} is answered ${status}${to === null ? '' : `, which leads to ${to}`}${wants === '' ? '' : `, wants ${wants}`}`;
  if (kind === 'registry' && isPage(answer)) {
    const told = `${summary} with a page for people`;
    return {
      step: 'http',
      outcome: 'warning',
      durationMs,
      method,
      status,
      challenges,
      summary: told,
      remedy: PAGE_REMEDY,
    };
  }
  if (isFine) return { step: 'http', outcome: 'ok', durationMs, method, status, challenges, summary };
  const remedy = answerRemedy(status, kind);
  const outcome = status >= 500 ? 'failed' : kind === 'mirror' && remedy === undefined ? 'ok' : 'warning';
  return { step: 'http', outcome, durationMs, method, status, challenges, summary, remedy };
}

/** What a web site, or a network that wants somebody to log in, answers with in place of a registry. */
function isPage({ status, headers }: HttpHead): boolean {
  const isHtml = /^\s*text\/html\b/i.test(headers['content-type'] ?? '');
  return status < 300 && isHtml && headers['docker-distribution-api-version'] === undefined;
}

/** Origin and path: a query may be a signature. A realm of Basic is any text. */
function shownRealm(text: string | undefined): string | null {
  if (text === undefined) return null;
  const url = URL.parse(text);
  return plain(url === null ? (text.split('?')[0] ?? '') : `${url.origin}${url.pathname}`);
}
