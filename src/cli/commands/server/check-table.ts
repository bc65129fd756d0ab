import type { Outcome, StepName, StepReport, UpstreamReport } from '../../../check/index.ts';
import { count, formatTable } from '../../format.ts';

const WORDS: Readonly<Record<Outcome, string>> = { ok: 'ok', warning: 'look', failed: 'FAILED' };

const NAMES: Readonly<Record<StepName, string>> = {
  dns: 'name',
  tcp: 'connection',
  'outbound-proxy': 'outbound proxy',
  tls: 'TLS',
  http: 'answer',
  token: 'login',
  quota: 'limit',
};

/** One upstream as a block: its name, a line for each step, and the remedies. */
export function formatReport(report: UpstreamReport): string {
  const { url, durationMs, steps } = report;
  const head = `${nameOf(report)}  ${url}  ${verdictOf(report)} (${formatMilliseconds(durationMs)})`;
  const rows = formatTable(steps.map((step) => rowOf(step)));
  const lines = steps.flatMap(({ remedy }, index) => {
    const row = `  ${rows[index] ?? ''}`;
    return remedy === undefined ? [row] : [row, `    what to do: ${remedy}`];
  });
  return `${[head, ...lines].join('\n')}\n`;
}

/** The registry or route, and the upstream where the operator named it. */
function nameOf({ name, upstream, url }: UpstreamReport): string {
  return upstream === name || upstream === URL.parse(url)?.host ? name : `${name} (${upstream})`;
}

function verdictOf({ reachable, outcome }: UpstreamReport): string {
  if (!reachable) return 'NOT REACHABLE';
  return outcome === 'failed' ? 'REACHABLE, LOGIN FAILED' : 'reachable';
}

function rowOf({ step, outcome, durationMs, summary }: StepReport): readonly string[] {
  return [NAMES[step], WORDS[outcome], formatMilliseconds(durationMs).padStart(8), summary];
}

/** The number of upstreams, and of those that can be reached. */
export function summarizeReports(reports: readonly UpstreamReport[]): string {
  const all = count(reports.length, 'upstream');
  const lost = reports.filter(({ reachable }) => !reachable);
  const refused = reports.filter(({ reachable, outcome }) => reachable && outcome === 'failed');
  const troubled = reports.filter(({ outcome }) => outcome === 'warning').length;
  const others = lost.length + refused.length > 0 ? 'of the others ' : '';
  const look = troubled === 0 ? '' : ` ${troubled} ${others}${troubled === 1 ? 'needs' : 'need'} attention.`;
  const logins =
    refused.length === 0
      ? ''
      : ` The login at ${count(refused.length, 'upstream')} failed: ${refused.map(fullNameOf).join(', ')}.`;
  if (lost.length === 0) {
    return `${all} checked, ${reports.length === 1 ? 'it can' : 'all can'} be reached.${logins}${look}`;
  }
  return `${all} checked, ${lost.length} cannot be reached: ${lost.map(fullNameOf).join(', ')}.${logins}${look}`;
}

function fullNameOf({ name, upstream }: UpstreamReport): string {
  return name === upstream ? name : `${name} (${upstream})`;
}

/** `0.4 ms`, `12 ms`, `1.25 s` */
export function formatMilliseconds(milliseconds: number): string {
  if (milliseconds < 10) return `${milliseconds.toFixed(1)} ms`;
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
}
