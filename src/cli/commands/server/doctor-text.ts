import type { Finding, FindingState } from '../../../doctor/index.ts';
import { count, formatTable } from '../../format.ts';

const WORDS: Readonly<Record<FindingState, string>> = {
  ok: 'ok',
  warning: 'look',
  failed: 'FAILED',
  skipped: 'skipped',
};

const GROUPS: Readonly<Record<string, string>> = {
  config: 'Configuration',
  server: 'Server',
  disk: 'Disk',
  clock: 'Clock',
  upstream: 'Upstreams',
  image: 'Image',
  client: 'Clients of this machine',
  canary: 'Canary: does a pull come to this server?',
};

/** A block for each group, a line for each finding, its remedy below it, and a summary. */
export function formatFindings(findings: readonly Finding[]): string {
  const blocks = Object.entries(GROUPS).flatMap(([group, title]) => {
    const own = findings.filter(({ id }) => id.startsWith(`${group}.`));
    if (own.length === 0) return [];
    const rows = formatTable(own.map(({ state, what, found }) => [WORDS[state], what, found]));
    const lines = own.flatMap(({ remedy }, index) => {
      const row = `  ${rows[index] ?? ''}`;
      return remedy === undefined ? [row] : [row, `    what to do: ${remedy}`];
    });
    return [`${[title, ...lines].join('\n')}\n`];
  });
  return `${blocks.join('\n')}\n${summaryOf(findings)}\n`;
}

function summaryOf(findings: readonly Finding[]): string {
  const { failed, warnings, skipped } = summarizeFindings(findings);
  const rest = [
    ...(warnings === 0 ? [] : [`${warnings} to look at`]),
    ...(skipped === 0 ? [] : [`${skipped} skipped`]),
  ].join(', ');
  const head = failed === 0 ? 'nothing failed' : `${failed} FAILED`;
  return `${count(findings.length, 'finding')}: ${head}${rest === '' ? '' : `, ${rest}`}.`;
}

/** How many findings are in each state. */
export function summarizeFindings(findings: readonly Finding[]): {
  readonly ok: number;
  readonly warnings: number;
  readonly failed: number;
  readonly skipped: number;
} {
  const of = (wanted: FindingState): number => findings.filter(({ state }) => state === wanted).length;
  return { ok: of('ok'), warnings: of('warning'), failed: of('failed'), skipped: of('skipped') };
}
