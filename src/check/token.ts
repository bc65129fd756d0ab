import { ownHeaders } from '../oci/index.ts';
import type { UpstreamQuota, UpstreamRequestEnded } from '../telemetry/index.ts';
import { type ProbeQuestion, probeUpstream, type UpstreamContext, UpstreamError } from '../upstream/index.ts';
import { type ConnectionCheck, isTimeout } from './connection.ts';
import { type CheckTarget, type QuotaStep, type TokenStep, tenths } from './report.ts';

interface TokenCheck extends ConnectionCheck {
  /** For requests like those of a pull; its telemetry is that of the check. */
  readonly context: UpstreamContext;
}

/** Share of the pulls at or below which the rest is a warning. */
const FEW = 0.1;

/** Logs in with each credential, or anonymously where there is none, and reads the remaining pulls. */
export async function checkTokens(target: CheckTarget, check: TokenCheck): Promise<(TokenStep | QuotaStep)[]> {
  // The operator's own header replaces every credential; no challenge is answered then.
  if ('authorization' in ownHeaders(target.spec)) return await checkToken(target, { check, name: 'header', of: 1 });
  const credentials = [target.spec.credentials ?? []].flat();
  const each = credentials.length === 0 ? [undefined] : credentials;
  const steps: (TokenStep | QuotaStep)[] = [];
  for (const [index, credential] of each.entries()) {
    const one = { ...target, spec: { ...target.spec, credentials: credential } };
    const name = credential === undefined ? 'anonymous' : String(index + 1);
    steps.push(...(await checkToken(one, { check, name, of: each.length })));
  }
  return steps;
}

/** Everything that was observed of one request. */
interface ProbeRecord {
  readonly status: number;
  readonly error: UpstreamError | undefined;
  readonly requests: readonly UpstreamRequestEnded[];
  readonly quotas: readonly UpstreamQuota[];
  readonly durationMs: number;
}

async function checkToken(
  target: CheckTarget,
  { check, name, of }: { readonly check: TokenCheck; readonly name: string; readonly of: number },
): Promise<(TokenStep | QuotaStep)[]> {
  const { signal } = check;
  const login = await probe(target, {
    check,
    request: { method: 'GET', path: target.path, scope: '', kind: 'check', headers: {}, loginOnly: true, signal },
  });
  const token = tokenStep(login, { name, of });
  let quotas = login.quotas;
  const { quotaRepository: repository } = target;
  let durationMs = login.durationMs;
  if (quotas.length === 0 && repository !== undefined && token.outcome !== 'failed') {
    const path = `/v2/${repository}/manifests/latest`;
    const scope = `repository:${repository}:pull`;
    const request = { method: 'HEAD', path, scope, kind: 'check', headers: {}, signal } as const;
    ({ quotas, durationMs } = await probe(target, { check, request }));
  }
  const last = quotas.at(-1);
  return last === undefined ? [token] : [token, quotaStep(last, durationMs)];
}

async function probe(
  { name, spec }: CheckTarget,
  { check, request }: { readonly check: TokenCheck; readonly request: ProbeQuestion },
): Promise<ProbeRecord> {
  const requests: UpstreamRequestEnded[] = [];
  const quotas: UpstreamQuota[] = [];
  const subscriptions = [
    check.telemetry.on('upstream.request', (event) => requests.push(event)),
    check.telemetry.on('upstream.quota', (event) => quotas.push(event)),
  ];
  const startedAt = performance.now();
  let status = 0;
  let error: UpstreamError | undefined;
  try {
    ({ status } = await probeUpstream({ registry: name, spec, context: check.context }, request));
  } catch (thrown) {
    if (check.signal.aborted && isTimeout(check.signal.reason)) {
      error = new UpstreamError(`${spec.name} did not finish within the time of the check`, {
        kind: 'unavailable',
        upstream: spec.name,
      });
    } else if (thrown instanceof UpstreamError) error = thrown;
    else throw thrown;
  } finally {
    for (const unsubscribe of subscriptions) unsubscribe();
  }
  return { status, error, requests, quotas, durationMs: tenths(performance.now() - startedAt) };
}

function tokenStep(probed: ProbeRecord, { name, of }: { readonly name: string; readonly of: number }): TokenStep {
  const { status, error, requests, durationMs } = probed;
  const token = requests.findLast(({ purpose }) => purpose === 'token');
  const common = {
    step: 'token' as const,
    credential: name,
    tokenStatus: token?.status ?? null,
    status,
    durationMs,
  };
  const anonymous = name === 'anonymous';
  const who = anonymous
    ? 'anonymous'
    : name === 'header'
      ? 'the authorization header'
      : of === 1
        ? 'the credential'
        : `credential ${name} of ${of}`;
  const where = token === undefined ? '' : ` (token of ${token.url})`;
  if (error !== undefined) {
    // A refused anonymous token without a repository says little: public images may still be open.
    if (anonymous && error.kind === 'denied' && token !== undefined) {
      const summary = `anonymous: the token service answers, but gives no token without an image (${token.status} of ${token.url})`;
      return { ...common, outcome: 'ok', summary };
    }
    return { ...common, outcome: 'failed', summary: `${who}: ${error.message}`, remedy: tokenRemedy(error) };
  }
  if (status < 400) return { ...common, outcome: 'ok', summary: `${who}: accepted, ${status}${where}` };
  if (anonymous && token?.status === 200) {
    const summary = `anonymous: got a token; the first page needs a login (${status})${where}`;
    return { ...common, outcome: 'ok', summary };
  }
  return {
    ...common,
    outcome: anonymous ? 'warning' : 'failed',
    summary: `${who}: refused, ${status}${where}`,
    remedy: anonymous
      ? 'It serves no anonymous clients: set credentials of this upstream.'
      : 'The credential is not accepted: is it right, has it expired, and is it meant for this upstream?',
  };
}

function tokenRemedy(error: UpstreamError): string {
  switch (error.kind) {
    case 'denied':
      if (error.message.includes('is plain HTTP'))
        return 'Let the registry name an https realm; the message says what to write if plain HTTP is meant.';
      if (error.message.includes('token_realms'))
        return 'If that host is right, list it under token_realms of this upstream.';
      return 'The token service refuses the credential: is it right, and has it expired?';
    case 'throttled':
      return 'It throttles logins: wait, and make sure that no program retries a wrong password.';
    case 'invalid':
      return 'Its answer is invalid: is the url that of a registry? If it redirects into your network, list the host under transport.allow_private.';
    default:
      return 'The token service cannot be reached, or is failing: it is another host, so check firewall, transport.dns and outbound proxy for it too.';
  }
}

function quotaStep(quota: UpstreamQuota, durationMs: number): QuotaStep {
  const { credential, limit, remaining, windowSeconds } = quota;
  const of = limit === undefined ? '' : ` of ${limit}`;
  const window = windowSeconds === undefined ? '' : `, in ${Math.round(windowSeconds / 360) / 10} h`;
  const few = limit !== undefined && remaining <= limit * FEW;
  return {
    step: 'quota',
    outcome: few ? 'warning' : 'ok',
    durationMs,
    credential,
    limit: limit ?? null,
    remaining,
    windowSeconds: windowSeconds ?? null,
    summary: `${remaining}${of} pulls left${window} (${credential})`,
    ...(few ? { remedy: 'Set credentials of this upstream, or add more of them: a list is used in turn.' } : {}),
  };
}
