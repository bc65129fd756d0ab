import { createHttpClient, type HttpClient, HttpError, type HttpHead } from '../net/index.ts';
import { ownHeaders } from '../oci/index.ts';
import { blockOf, parseChallenges, siteBlockOf, versionRefusalOf } from '../upstream/index.ts';
import { plain } from './certificate.ts';
import { asTimeout, type ConnectionCheck } from './connection.ts';
import { answerRemedy, PAGE_REMEDY, silenceRemedy } from './remedy.ts';
import { type CheckTarget, type HttpStep, tenths } from './report.ts';

/**
 * Requests the upstream's first page without a token: by HEAD, and by GET for one byte where HEAD does not succeed. A status
 * below 500 of either means that the upstream can be reached.
 */
export async function checkAnswer(target: CheckTarget, check: ConnectionCheck): Promise<HttpStep> {
  const client = createHttpClient(check.options);
  const startedAt = performance.now();
  try {
    const head = await attempt('HEAD', { target, check, client });
    const best = succeeds(head) ? head : better(head, await attempt('GET', { target, check, client }));
    const step = stepOf(best, target, performance.now() - startedAt);
    const ahead = best.answer instanceof HttpError ? undefined : clockAhead(best.answer, check.now());
    return ahead === undefined ? step : { ...step, clockAheadSeconds: ahead };
  } finally {
    await client.close();
  }
}

interface Attempt {
  readonly method: 'HEAD' | 'GET';
  /** An error where no answer came. */
  readonly answer: HttpHead | HttpError;
}

async function attempt(
  method: Attempt['method'],
  options: { readonly target: CheckTarget; readonly check: ConnectionCheck; readonly client: HttpClient },
): Promise<Attempt> {
  const { target, check, client } = options;
  const { url, addresses, signal } = check;
  const headers = { ...ownHeaders(target.spec), ...(method === 'GET' ? { range: 'bytes=0-0' } : {}) };
  try {
    const answer = await client.open({ method, url, headers, addresses, signal });
    answer.body.cancel();
    return { method, answer };
  } catch (error) {
    if (!(error instanceof HttpError)) throw error;
    const timed = asTimeout(error, check);
    if (timed.code === 'aborted') signal.throwIfAborted();
    return { method, answer: timed };
  }
}

function succeeds({ answer }: Attempt): boolean {
  return !(answer instanceof HttpError) && (answer.status < 400 || answer.status === 401);
}

/** The more telling attempt: an answer beats none, a status below 500 one above, else the later one counts. */
function better(first: Attempt, second: Attempt): Attempt {
  const rank = ({ answer }: Attempt): number => (answer instanceof HttpError ? 0 : answer.status >= 500 ? 1 : 2);
  return rank(first) > rank(second) ? first : second;
}

function stepOf({ method, answer }: Attempt, { kind, path, spec }: CheckTarget, duration: number): HttpStep {
  const common = { step: 'http' as const, durationMs: tenths(duration), method };
  const what = `${method} ${new URL(spec.url + path).pathname}`;
  if (answer instanceof HttpError) {
    const remedy = silenceRemedy(answer, new URL(spec.url).protocol);
    return { ...common, outcome: 'failed', status: 0, challenges: [], summary: `${what}: ${answer.message}`, remedy };
  }
  const { status, headers } = answer;
  const challenges = parseChallenges(headers['www-authenticate']).map(({ scheme, params }) => ({
    scheme: plain(scheme),
    realm: shownRealm(params['realm']),
  }));
  const isFine = status < 400 || (status === 401 && (challenges.length > 0 || kind === 'mirror'));
  const to = status >= 300 && status < 400 ? shownRealm(headers['location']) : null;
  const wants = challenges.map(({ scheme, realm }) => (realm === null ? scheme : `${scheme} of ${realm}`)).join(', ');
  const login = wants === '' ? '' : `, login by ${wants}`;
  const summary = `${what}: status ${status}${to === null ? '' : `, redirect to ${to}`}${login}`;
  const answered = { ...common, status, challenges, summary };
  if (kind === 'registry' && isPage(answer)) {
    return { ...answered, outcome: 'warning', summary: `${summary}, with a web page`, remedy: PAGE_REMEDY };
  }
  const block = kind === 'mirror' ? siteBlockOf(answer) : blockOf(answer);
  if (block !== undefined) {
    return { ...answered, outcome: 'failed', summary: `${summary}, blocked by ${block.by}`, remedy: block.remedy };
  }
  const refusal = versionRefusalOf(answer);
  if (refusal !== undefined) {
    return { ...answered, outcome: 'failed', summary: `${summary}: ${refusal.words}`, remedy: refusal.remedy };
  }
  if (isFine) return { ...answered, outcome: 'ok' };
  const remedy = answerRemedy(status, kind);
  const outcome = status >= 500 ? 'failed' : kind === 'mirror' && remedy === undefined ? 'ok' : 'warning';
  return { ...answered, outcome, remedy };
}

/** By the `Date` of the answer, which counts whole seconds, and its `Age`, where a cache answered (RFC 9110, section 6.6.1). */
function clockAhead({ headers }: HttpHead, now: number): number | undefined {
  const date = Date.parse(headers['date'] ?? '');
  const age = Number(headers['age'] ?? 0);
  if (Number.isNaN(date) || !Number.isFinite(age) || age < 0) return undefined;
  return Math.round((date - now) / 1000 + age);
}

/** Whether the answer is the page of a web site, or of a network's login portal, in place of a registry's. */
function isPage({ status, headers }: HttpHead): boolean {
  const isHtml = /^\s*text\/html\b/i.test(headers['content-type'] ?? '');
  return status < 300 && isHtml && headers['docker-distribution-api-version'] === undefined;
}

/** An address without its query, which may be a signature. A realm of Basic is any text. */
function shownRealm(text: string | undefined): string | null {
  if (text === undefined) return null;
  const url = URL.parse(text);
  return plain(url === null ? (text.split('?')[0] ?? '') : `${url.origin}${url.pathname}`);
}
