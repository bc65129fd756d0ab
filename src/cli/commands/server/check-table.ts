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
export function formatReport({ name, url, reachable, durationMs, steps }: UpstreamReport): string {
  const head = `${name}  ${url}  ${reachable ? 'reachable' : 'NOT REACHABLE'} (${formatMilliseconds(durationMs)})`;
  const rows = formatTable(steps.map((step) => rowOf(step)));
  const lines = steps.flatMap(({ remedy }, index) => {
    const row = `  ${rows[index] ?? ''}`;
    return remedy === undefined ? [row] : [row, `    what to do: ${remedy}`];
  });
  return `${[head, ...lines].join('\n')}\n`;
}

function rowOf({ step, outcome, durationMs, summary }: StepReport): readonly string[] {
  return [NAMES[step], WORDS[outcome], formatMilliseconds(durationMs).padStart(8), summary];
}

/** The number of upstreams, and of those that can be reached. */
export function summarizeReports(reports: readonly UpstreamReport[]): string {
  const all = count(reports.length, 'upstream');
  const lost = reports.filter(({ reachable }) => !reachable);
  const troubled = reports.filter(({ reachable, outcome }) => reachable && outcome !== 'ok').length;
  const look =
    troubled === 0
      ? ''
      : ` ${troubled} ${lost.length > 0 ? 'of the others ' : ''}${troubled === 1 ? 'wants' : 'want'} to be looked at.`;
  if (lost.length === 0) return `${all} checked, ${reports.length === 1 ? 'it can' : 'all can'} be reached.${look}`;
  const names = lost.map(({ name, upstream }) => (name === upstream ? name : `${name} (${upstream})`));
  return `${all} checked, ${lost.length} cannot be reached: ${names.join(', ')}.${look}`;
}

/** `0.4 ms`, `12 ms`, `1.25 s` */
export function formatMilliseconds(milliseconds: number): string {
  if (milliseconds < 10) return `${milliseconds.toFixed(1)} ms`;
  return milliseconds < 1000 ? `${Math.round(milliseconds)} ms` : `${(milliseconds / 1000).toFixed(2)} s`;
}
