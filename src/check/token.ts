import type { UpstreamQuota, UpstreamRequestEnded } from '../telemetry/index.ts';
import {
  ownHeaders,
  type ProbeQuestion,
  probeUpstream,
  type UpstreamContext,
  UpstreamError,
} from '../upstream/index.ts';
import type { ConnectionAsked } from './connection.ts';
import { isTimeout } from './connection.ts';
import { type CheckTarget, type QuotaStep, type TokenStep, tenths } from './report.ts';

export interface TokenAsked extends ConnectionAsked {
  /** Speaks with the upstream as for a pull; its telemetry is that of `asked`. */
  readonly context: UpstreamContext;
}

/** Fewer than a tenth of the pulls left: they may not last. */
const FEW = 0.1;

/** How each credential is received, or nobody in particular where there is none, and what is left of its limit. */
export async function checkTokens(target: CheckTarget, asked: TokenAsked): Promise<(TokenStep | QuotaStep)[]> {
  // The operator's own header goes before any credential, and no challenge is answered then.
  if ('authorization' in ownHeaders(target.spec)) return await checkToken(target, { asked, name: 'header', of: 1 });
  const credentials = [target.spec.credentials ?? []].flat();
  const each = credentials.length === 0 ? [undefined] : credentials;
  const steps: (TokenStep | QuotaStep)[] = [];
  for (const [index, credential] of each.entries()) {
    const one = { ...target, spec: { ...target.spec, credentials: credential } };
    const name = credential === undefined ? 'anonymous' : String(index + 1);
    steps.push(...(await checkToken(one, { asked, name, of: each.length })));
  }
  return steps;
}

interface Whose {
  readonly asked: TokenAsked;
  readonly name: string;
  readonly of: number;
}

/** Everything heard while one question was asked. */
interface HeardQuestion {
  readonly status: number;
  readonly error: UpstreamError | undefined;
  readonly requests: readonly UpstreamRequestEnded[];
  readonly quotas: readonly UpstreamQuota[];
  readonly durationMs: number;
}

async function checkToken(target: CheckTarget, { asked, name, of }: Whose): Promise<(TokenStep | QuotaStep)[]> {
  const { signal } = asked;
  const heard = await listen(target, {
    asked,
    question: { method: 'GET', path: target.path, scope: '', kind: 'check', headers: {}, loginOnly: true, signal },
  });
  const token = tokenStep(heard, { name, of });
  let quotas = heard.quotas;
  const { quotaRepository: repository } = target;
  let durationMs = heard.durationMs;
  if (quotas.length === 0 && repository !== undefined && token.outcome !== 'failed') {
    const path = `/v2/${repository}/manifests/latest`;
    const scope = `repository:${repository}:pull`;
    const question = { method: 'HEAD', path, scope, kind: 'check', headers: {}, signal } as const;
    ({ quotas, durationMs } = await listen(target, { asked, question }));
  }
  const last = quotas.at(-1);
  return last === undefined ? [token] : [token, quotaStep(last, durationMs)];
}

async function listen(
  { name, spec }: CheckTarget,
  { asked, question }: { readonly asked: TokenAsked; readonly question: ProbeQuestion },
): Promise<HeardQuestion> {
  const requests: UpstreamRequestEnded[] = [];
  const quotas: UpstreamQuota[] = [];
  const ears = [
    asked.telemetry.on('upstream.request', (event) => requests.push(event)),
    asked.telemetry.on('upstream.quota', (event) => quotas.push(event)),
  ];
  const startedAt = performance.now();
  let status = 0;
  let error: UpstreamError | undefined;
  try {
    ({ status } = await probeUpstream({ registry: name, spec, context: asked.context }, question));
  } catch (thrown) {
    if (asked.signal.aborted && isTimeout(asked.signal.reason)) {
      error = new UpstreamError(`${spec.name} was not through with it when the time of the check was over`, {
        kind: 'unavailable',
        upstream: spec.name,
      });
    } else if (thrown instanceof UpstreamError) error = thrown;
    else throw thrown;
  } finally {
    for (const unsubscribe of ears) unsubscribe();
  }
  return { status, error, requests, quotas, durationMs: tenths(performance.now() - startedAt) };
}

function tokenStep(heard: HeardQuestion, { name, of }: { readonly name: string; readonly of: number }): TokenStep {
  const { status, error, requests, durationMs } = heard;
  const asked = requests.findLast(({ purpose }) => purpose === 'token');
  const common = {
    step: 'token' as const,
    credential: name,
    tokenStatus: asked === undefined ? null : asked.status,
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
  const where = asked === undefined ? '' : ` (token of ${asked.url})`;
  if (error !== undefined) {
    // What is given to nobody in particular, for no image in particular, says little about images.
    if (anonymous && error.kind === 'denied' && asked !== undefined) {
      const summary = `anonymous: the token service answers, and gives no token without an image (${asked.status} of ${asked.url})`;
      return { ...common, outcome: 'ok', summary };
    }
    return { ...common, outcome: 'failed', summary: `${who}: ${error.message}`, remedy: tokenRemedy(error) };
  }
  if (status < 400) return { ...common, outcome: 'ok', summary: `${who}: accepted, ${status}${where}` };
  if (anonymous && asked?.status === 200) {
    const summary = `anonymous: got a token; its first page is for those who log in (${status})${where}`;
    return { ...common, outcome: 'ok', summary };
  }
  return {
    ...common,
    outcome: anonymous ? 'warning' : 'failed',
    summary: `${who}: refused, ${status}${where}`,
    remedy: anonymous
      ? 'It lets nobody in who does not log in: give this upstream credentials.'
      : 'The credential is not accepted: is it right, has it ended, and is it meant for this upstream?',
  };
}

function tokenRemedy(error: UpstreamError): string {
  switch (error.kind) {
    case 'denied':
      if (error.message.includes('token_realms'))
        return 'If that host is right, list it under token_realms of this upstream.';
      return 'The token service refuses the credential: is it right, and has it ended?';
    case 'throttled':
      return 'It throttles logins: wait, and see that nothing asks with a wrong password over and over.';
    case 'invalid':
      return 'What it answered is of no use: is the url that of a registry? If it redirects into your network, list the host under transport.allow_private.';
    default:
      return 'The token service cannot be reached, or is in trouble: it is another host, for which firewall, transport.dns and outbound proxy must be right as well.';
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
    ...(few ? { remedy: 'Give this upstream credentials, or more of them: a list is used in turn.' } : {}),
  };
}
