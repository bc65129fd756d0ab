import assert from 'node:assert/strict';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { captureOutput } from '../../../../test/support/capture-output.ts';
import {
  controlSocketPath,
  createControl,
  type ExplainAnswer,
  type ExplainInput,
  type ImageExplanation,
  OPERATIONS,
  type PullDetail,
} from '../../../admin/index.ts';
import { OciError } from '../../../oci/index.ts';
import { explain } from './explain.ts';
import { formatImage, formatPull } from './explain-text.ts';

const directory = mkdtempSync(join(tmpdir(), 'entrepot-explain-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const NOW = Date.UTC(2026, 10, 29, 12, 0, 0);
const DIGEST = `sha256:${'0123456789abcdef'.repeat(4)}`;

const pull: PullDetail = {
  id: 'k3x9-2f',
  at: NOW,
  registry: 'docker.io',
  repository: 'library/nginx',
  reference: '1.27',
  client: '10.0.0.7',
  user: 'alice',
  userAgent: 'docker/27.1.1',
  namedBy: 'host',
  outcome: 'miss',
  requests: 12,
  hits: 10,
  bytes: 3_145_728,
  fetched: 1_048_576,
  durationMs: 1234,
  rule: 'access.rules[0]',
  verdict: 'allowed',
  omitted: 10,
  requestList: [
    {
      id: 'k3x9-2f',
      at: NOW,
      method: 'GET',
      kind: 'manifest',
      reference: '1.27',
      status: 200,
      cache: 'REVALIDATED',
      reason: 'the tag has not moved',
      upstream: 'hub',
      bytes: 1024,
      slotMs: 0.12,
      gateMs: 0.4,
      firstByteMs: 121,
      totalMs: 123,
      asked: [
        {
          upstream: 'hub',
          purpose: 'api',
          method: 'HEAD',
          url: 'https://registry-1.docker.io/v2/library/nginx/manifests/1.27',
          status: 200,
          afterMs: 120,
          durationMs: 119,
        },
      ],
    },
    {
      id: 'k3x9-2g',
      at: NOW + 200,
      method: 'GET',
      kind: 'blob',
      reference: DIGEST,
      status: 0,
      bytes: 0,
      totalMs: 900,
      error: 'the client left',
      asked: [
        {
          upstream: 'hub',
          purpose: 'blob',
          method: 'GET',
          url: 'https://registry-1.docker.io/v2/library/nginx/blobs/x',
          status: 0,
          afterMs: 900,
          durationMs: 900,
          error: 'timed out',
        },
      ],
    },
  ],
};

const image: ImageExplanation = {
  image: 'docker.io/library/nginx:1.27',
  registry: 'docker.io',
  repository: 'library/nginx',
  reference: '1.27',
  home: 'mirrored',
  namedBy: 'default',
  access: { verdict: 'allowed', text: 'alice may pull it', rule: 'access.rules[0]', place: 'entrepot.yaml:14' },
  cache: {
    state: 'partial',
    digest: DIGEST,
    checkedAt: NOW - 60_000,
    freshUntil: NOW + 240_000,
    held: 'broken build',
    cooling: { digest: DIGEST, until: NOW + 60_000 },
    pinned: true,
    next: 'It is answered from the cache.',
    plan: { kind: 'held', upstream: 'hub' },
  },
  upstreams: [
    { name: 'hub', url: 'https://registry-1.docker.io' },
    {
      name: 'other',
      url: 'https://other.example',
      health: { registry: 'docker.io', upstream: 'other', state: 'open', scope: 'all', reason: 'it answered 503' },
    },
  ],
  pulls: [pull],
};

describe('a pull, explained', () => {
  test('is told from its naming to its last request', () => {
    assert.equal(
      formatPull(pull),
      `docker.io/library/nginx:1.27, pull k3x9-2f
  outcome    miss: an upstream sent content
  began      2026-11-29 12:00:00Z, took 1.2 s
  asked by   alice at 10.0.0.7, docker/27.1.1
  named by   the host name that the client asked
  rules      allowed by access.rules[0]
  requests   12, of which 10 were answered without an upstream
  sent       3.0 MiB to the client, 1.0 MiB fetched for it, 2.0 MiB saved

k3x9-2f  GET manifest 1.27: 200 REVALIDATED from hub
  why        the tag has not moved
  time       123 ms: 0.1 ms for a slot, 0.4 ms at the gate, 121 ms to the first byte, 1.5 ms to send
  sent       1.0 KiB
  asked      hub api HEAD https://registry-1.docker.io/v2/library/nginx/manifests/1.27: 200 in 119 ms, after 120 ms

k3x9-2g  GET blob sha256:0123456789ab: no response
  time       900 ms
  error      the client left
  asked      hub blob GET https://registry-1.docker.io/v2/library/nginx/blobs/x: no response in 900 ms, after 900 ms: timed out

and 10 requests more, which are counted only
`,
    );
  });

  test('leaves out what is not known, and says that it is under way', () => {
    const { rule: _rule, verdict: _verdict, user: _user, userAgent: _agent, namedBy: _named, ...rest } = pull;
    const text = formatPull({ ...rest, running: true, size: 6_291_456, client: '', requestList: [], omitted: 0 });
    assert.match(text, /outcome {4}under way, so far miss/);
    assert.match(text, /took 1\.2 s so far/);
    assert.match(text, /asked by {3}a client of a Unix socket\n/);
    assert.match(text, /sent {7}3\.0 MiB of 6\.0 MiB to the client/);
    assert.doesNotMatch(text, /rules|named by/);
  });

  test('says what audit mode would have done', () => {
    assert.match(
      formatPull({ ...pull, verdict: 'would-deny' }),
      /rules {6}would deny it, but are in audit mode by access/,
    );
  });
});

describe('an image, explained', () => {
  test('begins with what the next pull does', () => {
    const text = formatImage(image, { who: 'alice', columns: 80, now: NOW });
    assert.equal(
      text.slice(0, text.indexOf('\n\n')),
      `docker.io/library/nginx:1.27
  next pull  It is answered from the cache.
  registry   docker.io, named by nothing, so the default registry was meant
  home       its upstream
  rules      alice: alice may pull it, access.rules[0], entrepot.yaml:14
  stored     the manifest and some of its parts, ${DIGEST}
  checked    2026-11-29 11:59:00Z, fresh for 4 min more
  held       by an operator at sha256:0123456789ab: broken build
  cooling    the tag has moved to sha256:0123456789ab, which clients get from 2026-11-29 12:01:00Z
  pinned     yes, so it is not evicted
  upstream   hub, https://registry-1.docker.io, up
  upstream   other, https://other.example, suspended: it answered 503`,
    );
    assert.match(text, /\n\nLast pulls\nID .*\nk3x9-2f /);
  });

  test('of which nothing is stored has little to say', () => {
    const cache = {
      state: 'missing',
      pinned: false,
      next: 'It is fetched from hub.',
      plan: { kind: 'fetch' },
    } as const;
    const { access: _, ...rest } = image;
    const text = formatImage(
      { ...rest, cache, home: 'hosted', upstreams: [], pulls: [] },
      { who: undefined, columns: 80, now: NOW },
    );
    assert.match(
      text,
      /home {7}this server: it was pushed here\n {2}stored {5}nothing of it\n\nNo pull of it is recorded\.\n$/,
    );
  });
});

describe('entrepot explain', () => {
  async function say(answer: ExplainAnswer | Error, options: { of: string; who?: string; json?: boolean }) {
    const dir = mkdtempSync(join(directory, 'server-'));
    const asked: ExplainInput[] = [];
    const none = (): never => assert.fail('it is not asked');
    const control = createControl({
      path: controlSocketPath(dir),
      operations: [OPERATIONS.explain],
      context: {
        explain: {
          async any(input: ExplainInput) {
            asked.push(input);
            if (answer instanceof Error) throw answer;
            return answer;
          },
          access: none,
          rules: none,
        },
      },
    });
    await control.start();
    try {
      const { output, said } = captureOutput();
      const code = await explain({ ...options, flags: { cacheDir: dir } }, { output, columns: 80 });
      return { code, asked, ...said };
    } finally {
      await control.close();
    }
  }

  test('shows a pull by the id of a request', async () => {
    const { code, out, asked } = await say({ pull }, { of: 'k3x9-2f' });
    assert.deepEqual([code, asked], [0, [{ of: 'k3x9-2f' }]]);
    assert.equal(out, formatPull(pull));
  });

  test('shows an image, to the one who pulls it', async () => {
    const { code, out, asked } = await say({ image }, { of: 'nginx:1.27', who: 'alice' });
    assert.deepEqual([code, asked], [0, [{ of: 'nginx:1.27', who: 'alice' }]]);
    assert.match(out, /^docker\.io\/library\/nginx:1\.27\n/);
  });

  test('ends with 1 where the rules refuse it', async () => {
    const access = { verdict: 'refused', text: 'no rule allows it' } as const;
    const { code, out } = await say({ image: { ...image, access } }, { of: 'nginx' });
    assert.equal(code, 1);
    assert.match(out, /rules {6}anonymous: no rule allows it\n/);
  });

  test('prints the answer as JSON', async () => {
    const { out } = await say({ pull }, { of: 'k3x9-2f', json: true });
    assert.deepEqual(JSON.parse(out), { pull });
  });

  test('says that nothing has the id or the name', async () => {
    const { code, err, out } = await say(new OciError('NAME_UNKNOWN', 'no pull has the id zz'), { of: 'zz' });
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /no pull has the id zz/);
  });
});
