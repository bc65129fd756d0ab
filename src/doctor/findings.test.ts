import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { ServerStatus } from '../admin/index.ts';
import type { CanaryView } from '../canary/index.ts';
import type { UpstreamReport } from '../check/index.ts';
import { judgePull } from './canary.ts';
import { commandsOf, manualPull } from './client-commands.ts';
import { type ClientReport, clientFinding, provingRegistry } from './clients.ts';
import { clockFinding } from './clock.ts';
import { spaceFinding } from './disk.ts';
import { FINDINGS } from './finding.ts';
import { runCommand } from './run-command.ts';
import { statusFindings } from './server.ts';

const root = fileURLToPath(new URL('../..', import.meta.url));

describe('the kinds of findings', () => {
  for (const page of ['docs/doctor.md', 'docs/zh-CN/doctor.md']) {
    test(`are those that ${page} explains, in this order`, () => {
      const rows = readFileSync(`${root}${page}`, 'utf8').matchAll(/^\| `([a-z-]+\.[a-z-]+)` \|/gm);
      assert.deepEqual(
        [...rows].map(([, id]) => id),
        Object.keys(FINDINGS),
      );
    });
  }

  test('are all found by the code', () => {
    const paths = [
      ...globSync('src/doctor/*.ts', { cwd: root }),
      ...globSync('src/cli/commands/server/doctor*.ts', { cwd: root }),
    ];
    const code = paths
      .filter((path) => !path.endsWith('.test.ts') && !path.endsWith('/finding.ts'))
      .map((path) => readFileSync(`${root}${path}`, 'utf8'))
      .join('\n');
    for (const id of Object.keys(FINDINGS)) {
      const [group = '', step = ''] = id.split('.');
      const isBuilt = code.includes(`\`${group}.\${step}\``) && step !== '';
      assert.ok(code.includes(`'${id}'`) || isBuilt, id);
    }
  });
});

const STATUS: ServerStatus = {
  version: '1.0.0',
  pid: 1,
  startedAt: 0,
  uptimeSeconds: 1,
  listeners: [],
  configSource: 'defaults',
  cache: { dir: 'x', blobs: 1, bytes: 2048 },
  transfers: [],
};

function states(status: Partial<ServerStatus>, version = '1.0.0'): readonly string[] {
  return statusFindings({ ...STATUS, ...status }, version).map(({ id, state }) => `${id} ${state}`);
}

describe('what the server says of itself', () => {
  test('is well', () => {
    assert.deepEqual(states({}), ['server.running ok', 'server.version ok', 'disk.caching ok']);
    assert.deepEqual(states({ cache: 'off' }), ['server.running ok', 'server.version ok']);
  });

  test('is of another version, has warnings, keeps nothing, and leaves an upstream alone', () => {
    const cache = { dir: 'x', blobs: 0, bytes: 0, paused: { reason: 'no space', since: 0 } };
    const upstreams = [
      { registry: 'apps', upstream: 'hot', state: 'open', scope: 'all', reason: 'refused' },
      { registry: 'apps', upstream: 'cold', state: 'closed', scope: 'all' },
    ] as const;
    assert.deepEqual(states({ cache, upstreams, warnings: ['a', 'b'] }, '1.0.1'), [
      'server.running ok',
      'server.version warning',
      'server.config warning',
      'server.config warning',
      'disk.caching failed',
      'upstream.health warning',
    ]);
  });
});

describe('the room on the disk', () => {
  const rows: readonly (readonly [free: number, state: string])[] = [
    [2000, 'ok'],
    [1000, 'ok'],
    [999, 'warning'],
    [500, 'warning'],
    [499, 'failed'],
  ];
  for (const [free, state] of rows) {
    test(`${free} of 1000 to keep free: ${state}`, () => {
      assert.equal(spaceFinding('x', { free, total: 9000, floor: 1000 }).state, state);
    });
  }
});

describe('the clock', () => {
  const report = (clockAheadSeconds: number | undefined): UpstreamReport => ({
    kind: 'registry',
    name: 'a',
    upstream: 'a',
    url: 'http://a',
    reachable: true,
    outcome: 'ok',
    durationMs: 1,
    steps: [
      {
        step: 'http',
        outcome: 'ok',
        durationMs: 1,
        summary: '',
        method: 'HEAD',
        status: 200,
        challenges: [],
        ...(clockAheadSeconds === undefined ? {} : { clockAheadSeconds }),
      },
    ],
  });
  const rows: readonly (readonly [ahead: readonly (number | undefined)[], state: string, found: RegExp])[] = [
    [[], 'skipped', /no upstream/],
    [[undefined], 'skipped', /no upstream/],
    [[0, 1], 'ok', /within 30 s/],
    // One upstream with a wrong clock is not this machine's.
    [[-90_000, 0, 1], 'ok', /within 30 s/],
    [[60, 61, 62], 'warning', /^61 s behind/],
    [[-400], 'failed', /^400 s ahead of/],
  ];
  for (const [ahead, state, found] of rows) {
    test(`${JSON.stringify(ahead)} s: ${state}`, () => {
      const finding = clockFinding(ahead.map(report));
      assert.equal(finding.state, state);
      assert.match(finding.found, found);
    });
  }
});

describe('a pull of the canary', () => {
  const request = {
    at: 1,
    method: 'HEAD',
    client: '10.0.0.1',
    userAgent: 'docker/1\u001b[31m',
    registry: 'docker.io',
    namedBy: 'ns',
  };
  const view: CanaryView = { server: 's', version: '1', tag: 't', digest: 'sha256:aa', requests: [request] };
  const without = { ...view, requests: [] };
  const about = { id: 'canary.pull', what: 'docker' } as const;
  const rows: readonly (readonly [
    what: string,
    pulled: { readonly code: number | undefined; readonly text: string; readonly reason?: string },
    shown: string,
    view: CanaryView,
    state: string,
    found: RegExp,
  ])[] = [
    [
      'came',
      { code: 0, text: '' },
      '["x@sha256:aa"]',
      view,
      'ok',
      /from 10\.0\.0\.1 \(docker\/1\?\[31m\): docker\.io, named by/,
    ],
    ['of another server', { code: 0, text: '' }, '["x@sha256:bb"]', without, 'failed', /another server/],
    [
      'that came, with another image stored',
      { code: 0, text: '' },
      '["x@sha256:bb"]',
      view,
      'failed',
      /another server/,
    ],
    [
      'that the client did not take',
      { code: 1, text: 'unsupported' },
      '',
      view,
      'failed',
      /did not take the image: unsupported/,
    ],
    ['that went past the server', { code: 1, text: 'not found' }, '', without, 'failed', /did not ask this server/],
    [
      'that took too long',
      { code: undefined, text: '', reason: 'timeout' },
      '',
      without,
      'failed',
      /did not end in time/,
    ],
    [
      'by a program that is not there',
      { code: undefined, text: 'spawn', reason: 'not-found' },
      '',
      without,
      'skipped',
      /not installed/,
    ],
    [
      'by a service that does not run',
      { code: 1, text: 'Cannot connect to the Docker daemon' },
      '',
      without,
      'skipped',
      /could not be asked/,
    ],
  ];
  for (const [what, pulled, shown, seen, state, found] of rows) {
    test(`${what}: ${state}`, () => {
      const finding = judgePull(about, { pulled, shown, view: seen, server: 'http://m:5000' });
      assert.equal(finding.state, state);
      assert.match(finding.found, found);
      if (state === 'failed' && pulled.code !== 1)
        assert.match(finding.remedy ?? '', /entrepot setup docker --server http:\/\/m:5000/);
    });
  }
});

describe('the files of a client', () => {
  const file = (registry: string, problem?: string) => ({
    path: 'x.conf',
    mirrors: [{ registry, server: 'm' }],
    problem,
  });
  const rows: readonly (readonly [state: ClientReport['state'], finding: string, remedy: RegExp])[] = [
    ['configured', 'ok', /^$/],
    ['partly', 'warning', /entrepot setup podman --server http:\/\/m/],
    ['not-configured', 'warning', /entrepot setup podman/],
    ['unparseable', 'warning', /Correct the file/],
  ];
  for (const [state, finding, remedy] of rows) {
    test(`${state}: ${finding}`, () => {
      const found = clientFinding({ client: 'podman', state, files: [file('docker.io', 'is broken')] }, 'http://m');
      assert.equal(found.state, finding);
      assert.match(found.remedy ?? '', remedy);
    });
  }

  test('say which registry proves that they are used', () => {
    const of = (...registries: string[]) => provingRegistry({ files: registries.map((each) => file(each)) });
    assert.deepEqual(
      [of(), of('*'), of('ghcr.io'), of('ghcr.io', 'docker.io'), of('ghcr.io', '_default')],
      ['docker.io', 'docker.io', 'ghcr.io', 'docker.io', 'docker.io'],
    );
  });
});

describe('the commands of a client', () => {
  test('are those of the first program that is installed', () => {
    const programs =
      (...names: string[]) =>
      (name: string) =>
        names.includes(name);
    assert.deepEqual(commandsOf('containerd', 'i', programs('ctr', 'nerdctl'))?.remove, [
      'nerdctl',
      'image',
      'rm',
      'i',
    ]);
    assert.deepEqual(commandsOf('k3s', 'i', programs('k3s'))?.pull, ['k3s', 'crictl', 'pull', 'i']);
    assert.equal(commandsOf('docker', 'i', programs()), undefined);
    assert.equal(commandsOf('buildkit', 'i', programs('docker')), undefined);
    assert.match(manualPull('buildkit', 'i', undefined), /FROM i .*buildx/);
  });

  test('end with their code and the last of their text, or with the time', async () => {
    const failing = await runCommand(['sh', '-c', 'echo out; printf "a\\033b\\nlast" >&2; exit 3'], {
      timeout: 20_000,
    });
    assert.deepEqual([failing.code, failing.text, failing.output], [3, 'a?b last', 'out\n']);
    const missing = await runCommand(['entrepot-has-no-such-program'], { timeout: 20_000 });
    assert.deepEqual([missing.code, missing.reason], [undefined, 'not-found']);
    const slow = await runCommand(['sleep', '60'], { timeout: 50 });
    assert.deepEqual([slow.code, slow.reason], [undefined, 'timeout']);
  });
});
