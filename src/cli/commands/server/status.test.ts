import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import * as z from 'zod';
import { captureOutput } from '../../../../test/support/capture-output.ts';
import { controlSocketPath, createControl, OPERATIONS, type ServerStatus } from '../../../admin/index.ts';
import { formatDuration, formatProgress } from '../../format.ts';
import { status } from './status.ts';
import { formatStatus } from './status-table.ts';

const directory = mkdtempSync(join(tmpdir(), 'entrepot-status-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const now = Date.UTC(2026, 0, 1);
const MIB = 1024 ** 2;
const full: ServerStatus = {
  version: '1.2.3',
  pid: 42,
  startedAt: now - 7_380_000,
  uptimeSeconds: 7380,
  listeners: ['http://127.0.0.1:5000', 'unix:/run/entrepot.sock'],
  configSource: '/etc/entrepot/entrepot.yaml',
  cache: { dir: '/var/cache/entrepot', blobs: 12, bytes: 5 * 1024 ** 3, maxSize: 50 * 1024 ** 3 },
  transfers: [
    {
      id: 't-1',
      registry: 'docker.io',
      repository: 'library/nginx',
      digest: `sha256:${'0123456789abcdef'.repeat(4)}`,
      upstream: 'registry-1.docker.io',
      bytes: 26 * MIB,
      size: 50 * MIB,
      followers: 3,
      startedAt: now - 2000,
    },
    {
      id: 't-12',
      registry: 'ghcr.io',
      repository: 'a/b',
      digest: `sha256:${'f'.repeat(64)}`,
      upstream: 'ghcr.io',
      bytes: 1024,
      followers: 1,
      startedAt: now,
    },
  ],
};
const withUpstreams: ServerStatus = {
  ...full,
  transfers: [],
  upstreams: [
    {
      registry: 'docker.io',
      upstream: 'registry-1.docker.io',
      state: 'open',
      scope: 'pull',
      openUntil: now + 40_000,
      since: now - 125_000,
      reason: 'it answered 429',
      quota: [
        { credential: 'ann', limit: 200, remaining: 0, windowSeconds: 21_600 },
        { credential: 'anonymous', remaining: 7 },
      ],
    },
    { registry: 'ghcr.io', upstream: 'ghcr.io', state: 'closed', scope: 'all' },
    {
      registry: 'quay.io',
      upstream: 'quay.io',
      state: 'half-open',
      scope: 'all',
      openUntil: now,
      since: now - 9000,
      reason: 'refused',
    },
  ],
};
const idle: ServerStatus = { ...full, cache: { dir: '/c', blobs: 1, bytes: 0 }, transfers: [] };

describe('formatStatus', () => {
  test('shows each warning on a line of its own', () => {
    const warned = formatStatus({ ...full, warnings: ['entrepot.yaml:1:9  listen: a', 'allow_any: b'] }, now);
    assert.match(warned, /\n {2}warning {8}entrepot\.yaml:1:9 {2}listen: a\n {2}warning {8}allow_any: b\n/);
  });

  test('shows each certificate, when it is renewed, and why that fails', () => {
    const renewal = { server: 'https://ca.example/directory', orderAt: now + 60 * 86_400_000, isOrdering: false };
    const expiresAt = now + 90 * 86_400_000;
    const text = formatStatus(
      {
        ...idle,
        certificates: [
          { listener: '*:1', names: 'DNS:a.example, DNS:b.example', expiresAt },
          { listener: '*:2', names: 'DNS:c.example', expiresAt, renewal },
          { names: 'd.example', renewal: { ...renewal, orderAt: now + 300_000, failures: 2, error: 'refused' } },
          { listener: '*:4', names: 'DNS:e.example', expiresAt: now - 1, renewal: { ...renewal, isOrdering: true } },
        ],
      },
      now,
    );
    const lines = [...text.matchAll(/\n {2}certificate {4}(.*)/g)].map(([, line]) => line);
    assert.deepEqual(lines, [
      'a.example, b.example: expires 2026-04-01',
      'c.example: expires 2026-04-01; next order at ca.example on 2026-03-02',
      'd.example: none yet; next order at ca.example in 5 min; 2 orders failed: refused',
      'e.example: expired 2025-12-31; ordered at ca.example now',
    ]);
  });

  test('shows each webhook, what waits for it, and why it fails', () => {
    const webhook = { hook: 'ci', url: 'https://a.example/', events: ['push'], on: [], delivered: 3, failed: 0 };
    const text = formatStatus(
      {
        ...idle,
        webhooks: [
          { ...webhook, state: 'working', queued: 0, givenUp: 0, dropped: 0 },
          {
            ...webhook,
            state: 'failing',
            queued: 7,
            givenUp: 1,
            dropped: 2,
            lastFailure: { at: now, reason: 'it answered 500' },
          },
        ],
      },
      now,
    );
    assert.match(
      text,
      /\n {2}webhook {8}ci: working, 0 queued\n {2}webhook {8}ci: failing, 7 queued, 3 lost: it answered 500\n/,
    );
  });

  test('shows what is hosted, with the uploads under way', () => {
    const hosted = { repositories: 2, digests: 12, bytes: 3 * 1024 ** 3, uploads: 0, uploadBytes: 0 };
    assert.match(
      formatStatus({ ...idle, hosted }, now),
      /^ {2}hosted +2 repositories, 12 blobs and manifests, 3\.0 GiB$/m,
    );
    const busy = { ...hosted, repositories: 1, uploads: 1, uploadBytes: 1024 };
    assert.match(
      formatStatus({ ...idle, hosted: busy }, now),
      /hosted +1 repository, .*; 1 upload under way, 1\.0 KiB$/m,
    );
    assert.doesNotMatch(formatStatus(idle, now), /hosted/);
  });

  test('says what has come in part, where anything has', () => {
    const cache = { dir: '/c', blobs: 1, bytes: 0, partial: { count: 2, bytes: 6_400_000_000 } };
    const text = formatStatus({ ...idle, cache }, now);
    assert.match(text, /\n {2}partial {8}2 blobs, 6\.0 GiB, which the next pull continues\n/);
    const nothing = { ...cache, partial: { count: 0, bytes: 0 } };
    for (const each of [nothing, idle.cache]) {
      assert.doesNotMatch(formatStatus({ ...idle, cache: each }, now), /partial/);
    }
  });

  test('says why caching is paused, while it is', () => {
    const paused = { reason: 'the disk refused to take more: ENOSPC', since: now, until: now + 30_000 };
    const text = formatStatus({ ...idle, cache: { dir: '/c', blobs: 1, bytes: 0, paused } }, now);
    assert.match(text, /\n {2}caching {8}paused, pulls pass through: the disk refused to take more: ENOSPC\n/);
    assert.doesNotMatch(formatStatus(idle, now), /paused/);
  });

  test('says that requests wait or are turned away, and is silent where there is room', () => {
    const text = (more: object) =>
      formatStatus(
        { ...idle, requests: { inflight: 50, waiting: 0, maxInflight: 50, overloaded: false, ...more } },
        now,
      );
    assert.doesNotMatch(text({}), /requests/);
    assert.match(text({ waiting: 3 }), /\n {2}requests {7}50 of 50 under way, 3 waiting\n/);
    assert.match(text({ overloaded: true }), /50 of 50 under way, 0 waiting; some are refused\n/);
  });

  test('shows how the upstreams fare that were asked, and what is left of their limits', () => {
    const table = formatStatus(withUpstreams, now).split('\n\n')[1] ?? '';
    assert.deepEqual(
      table.split('\n').map((line) => line.split(/ {2,}/)),
      [
        ['REGISTRY', 'UPSTREAM', 'STATE', 'PULLS LEFT', 'TROUBLE'],
        [
          'docker.io',
          'registry-1.docker.io',
          'suspended for manifests, 40 s left',
          '0 of 200 (ann), 7 (anonymous)',
          'for 2 min 5 s: it answered 429',
        ],
        ['ghcr.io', 'ghcr.io', 'up'],
        ['quay.io', 'quay.io', 'retried by the next request', 'for 9 s: refused'],
      ],
    );
    const { upstreams: _, ...older } = withUpstreams;
    assert.equal(formatStatus(older, now), formatStatus({ ...withUpstreams, upstreams: [] }, now));
  });

  test('shows what runs, what is stored, and each transfer in a row', () => {
    const [head, ...table] = formatStatus(full, now).split('\n\n2 transfers under way\n');
    assert.equal(
      head,
      [
        'entrepot 1.2.3, pid 42, up 2 h 3 min',
        '  listening      http://127.0.0.1:5000, unix:/run/entrepot.sock',
        '  configuration  /etc/entrepot/entrepot.yaml',
        '  cache          /var/cache/entrepot: 12 blobs, 5.0 GiB of 50.0 GiB',
      ].join('\n'),
    );
    const lines = (table[0] ?? '').trimEnd().split('\n');
    assert.deepEqual(
      lines.map((line) => line.split(/ {2,}(?![0-9]+%)/)),
      [
        ['ID', 'IMAGE', 'DIGEST', 'PROGRESS', 'RATE', 'FOLLOWERS', 'UPSTREAM'],
        [
          't-1',
          'docker.io/library/nginx',
          'sha256:0123456789ab',
          '[##########----------]  52% of 50.0 MiB',
          '13.0 MiB/s',
          '3',
          'registry-1.docker.io',
        ],
        ['t-12', 'ghcr.io/a/b', 'sha256:ffffffffffff', '1.0 KiB', '1000.0 KiB/s', '1', 'ghcr.io'],
      ],
    );
    for (const column of ['IMAGE', 'DIGEST', 'UPSTREAM']) {
      const start = lines[0]?.indexOf(column) ?? -1;
      for (const line of lines) assert.match(line.slice(start - 2), /^ {2}\S/);
    }
  });

  test('shows what each upstream of a split transfer does', () => {
    const [transfer] = full.transfers;
    assert.ok(transfer !== undefined);
    const upstreams = [
      { upstream: 'hub', connections: 3, bytes: 20 * MIB, bytesPerSecond: 12 * MIB },
      { upstream: 'mirror', connections: 1, bytes: 6 * MIB, bytesPerSecond: 4 * MIB },
    ];
    const text = formatStatus({ ...full, transfers: [{ ...transfer, segments: 4, upstreams }] }, now);
    assert.match(text, / {2}hub: 3 connections, 12\.0 MiB\/s; mirror: 1 connection, 4\.0 MiB\/s\n$/);
    const gained = formatStatus({ ...full, transfers: [{ ...transfer, segments: 4, upstreams, gain: 2.96 }] }, now);
    assert.match(gained, /; mirror: 1 connection, 4\.0 MiB\/s; 3\.0 times one connection\n$/);
  });

  test('says so where nothing is under way', () => {
    assert.match(formatStatus(idle, now), /cache {10}\/c: 1 blob, 0 B\n\nNo transfers under way\.\n$/);
    assert.match(formatStatus({ ...idle, cache: 'off' }, now), /cache {10}off\n/);
  });
});

describe('formatProgress', () => {
  const rows: readonly (readonly [number, number | undefined, string])[] = [
    [0, 100, '[--------------------]   0% of 100 B'],
    [99, 100, '[###################-]  99% of 100 B'],
    [100, 100, '[####################] 100% of 100 B'],
    [200, 100, '[####################] 100% of 100 B'],
    [0, 0, '[####################] 100% of 0 B'],
    [2048, undefined, '2.0 KiB'],
  ];
  for (const [bytes, size, expected] of rows)
    test(expected, () => assert.equal(formatProgress(size === undefined ? { bytes } : { bytes, size }), expected));
});

describe('formatDuration', () => {
  const rows: readonly (readonly [number, string])[] = [
    [0, '0 s'],
    [59.9, '59 s'],
    [60, '1 min'],
    [61, '1 min 1 s'],
    [3600, '1 h'],
    [90_061, '1 d 1 h'],
  ];
  for (const [seconds, expected] of rows) test(expected, () => assert.equal(formatDuration(seconds), expected));
});

describe('status', () => {
  test('asks the server of the cache directory, for people and for programs', async () => {
    const control = createControl({
      path: controlSocketPath(directory),
      operations: [OPERATIONS.status],
      context: { status: async () => full },
    });
    await control.start();
    after(() => control.close());
    const people = captureOutput();
    assert.equal(await status({ flags: { cacheDir: directory }, json: false }, people.output), 0);
    assert.match(people.said.out, /^entrepot 1\.2\.3, pid 42/);
    const programs = captureOutput();
    assert.equal(await status({ flags: { cacheDir: directory }, json: true }, programs.output), 0);
    assert.deepEqual(JSON.parse(programs.said.out), full);
  });

  test('no server: one sentence with the remedy, and a failure', async () => {
    const { said: texts, output } = captureOutput();
    const absent = join(directory, 'absent');
    assert.equal(await status({ flags: { cacheDir: absent }, json: false }, output), 1);
    assert.match(texts.err, /^No server runs on the cache directory .*absent; start one with `entrepot serve`/);
    assert.equal(texts.out, '');
  });

  test('without a cache there is nothing to ask', async () => {
    const { said: texts, output } = captureOutput();
    assert.equal(await status({ flags: { cache: false }, json: false }, output), 1);
    assert.match(texts.err, /has no control socket/);
  });

  test('a configuration with problems is told', async () => {
    const file = join(directory, 'bad.yaml');
    writeFileSync(file, 'listne: 5000\n');
    const { said: texts, output } = captureOutput();
    assert.equal(await status({ flags: { config: file }, json: false }, output), 78);
    assert.match(texts.err, /listne/);
  });

  test('an answer of another form is not printed', async () => {
    const other = mkdtempSync(join(tmpdir(), 'entrepot-status-'));
    after(() => rmSync(other, { recursive: true, force: true }));
    const control = createControl({
      path: controlSocketPath(other),
      operations: [{ ...OPERATIONS.status, answer: z.unknown(), handle: () => ({ hello: 1 }) }],
      context: {},
    });
    await control.start();
    after(() => control.close());
    const { said: texts, output } = captureOutput();
    assert.equal(await status({ flags: { cacheDir: other }, json: false }, output), 1);
    assert.match(texts.err, /a form this version does not know/);
  });
});
