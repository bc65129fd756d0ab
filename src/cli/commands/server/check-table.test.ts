import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { UpstreamReport } from '../../../check/index.ts';
import { formatReport, summarizeReports } from './check-table.ts';

function report(name: string, more: Partial<UpstreamReport> = {}): UpstreamReport {
  const common = {
    kind: 'registry',
    upstream: 'hub.example',
    url: 'https://hub.example',
    durationMs: 1,
    steps: [],
  } as const;
  return { ...common, name, reachable: true, outcome: 'ok', ...more };
}

describe('formatReport()', () => {
  const rows: readonly (readonly [shown: string, given: UpstreamReport])[] = [
    ['apps  https://hub.example  reachable (1.0 ms)\n', report('apps')],
    ['apps (hot)  https://hub.example  reachable (1.0 ms)\n', report('apps', { upstream: 'hot' })],
    ['apps  https://hub.example  REACHABLE, LOGIN FAILED (1.0 ms)\n', report('apps', { outcome: 'failed' })],
    ['apps  https://hub.example  NOT REACHABLE (1.0 ms)\n', report('apps', { outcome: 'failed', reachable: false })],
    ['apps  https://hub.example  reachable (1.0 ms)\n', report('apps', { outcome: 'warning' })],
  ];
  for (const [shown, given] of rows) test(shown.trim(), () => assert.equal(formatReport(given), shown));
});

describe('summarizeReports()', () => {
  const bad = report('bad', { outcome: 'failed', upstream: 'hot' });
  const gone = report('gone', { outcome: 'failed', reachable: false });
  const few = report('few', { outcome: 'warning' });
  const rows: readonly (readonly [summary: string, given: readonly UpstreamReport[]])[] = [
    ['1 upstream checked, it can be reached.', [report('a')]],
    ['1 upstream checked, it can be reached. The login at 1 upstream failed: bad (hot).', [bad]],
    [
      '2 upstreams checked, 1 cannot be reached: gone (hub.example). The login at 1 upstream failed: bad (hot).',
      [gone, bad],
    ],
    ['2 upstreams checked, all can be reached. 1 needs attention.', [few, report('a')]],
    [
      '2 upstreams checked, all can be reached. The login at 1 upstream failed: bad (hot). 1 of the others needs attention.',
      [few, bad],
    ],
  ];
  for (const [summary, given] of rows) test(summary, () => assert.equal(summarizeReports(given), summary));
});
