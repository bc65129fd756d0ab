import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import { digestOf } from '../../src/oci/index.ts';
import { buildImage, buildReferrer, type Content, content, noise, platformOf } from './image.ts';
import { type Fault, Gate } from './scripted/faults.ts';
import { PERSONALITIES, type PersonalityName } from './scripted/personality.ts';
import { type ScriptedUpstream, startScriptedUpstream } from './scripted-upstream.ts';

const image = buildImage();
const [layer] = platformOf(image, 'amd64').layers as readonly [Content];
const big = content('application/octet-stream', noise('big', 1024 * 1024));
const account = { username: 'someone', password: 'canary-password' };

async function withUpstream(
  options: Parameters<typeof startScriptedUpstream>[0],
  use: (upstream: ScriptedUpstream) => Promise<void>,
): Promise<void> {
  await using upstream = await startScriptedUpstream(options);
  upstream.add(image, 'library/app', ['latest']);
  upstream.addBlob('library/app', big);
  await use(upstream);
}

function blobUrl(upstream: ScriptedUpstream, blob: Content): string {
  return `${upstream.url}/v2/library/app/blobs/${blob.digest}`;
}

describe('personalities', () => {
  for (const name of Object.keys(PERSONALITIES) as PersonalityName[]) {
    test(`${name}: a polite client gets manifest and blob, and no credential strays`, () =>
      withUpstream({ personality: name, credentials: account }, async (upstream) => {
        const manifest = await politely(upstream, '/v2/library/app/manifests/latest');
        assert.equal(digestOf(manifest), image.index.digest);
        const blob = await politely(upstream, `/v2/library/app/blobs/${layer.digest}`);
        assert.equal(digestOf(blob), layer.digest);
        assert.equal(upstream.blobBodies(layer.digest).length, 1, upstream.journal());
        assert.deepEqual(upstream.leaks(), []);
      }));
  }

  test('dockerHub: a pull is a GET of a manifest, and the last one is followed by 429', () =>
    withUpstream({ personality: 'dockerHub' }, async (upstream) => {
      const headers = { authorization: `Bearer ${await token(upstream)}` };
      const url = `${upstream.url}/v2/library/app/manifests/latest`;
      const left = async (method: string): Promise<string | null> => {
        const response = await fetch(url, { method, headers });
        await response.arrayBuffer();
        return response.headers.get('ratelimit-remaining');
      };
      assert.equal(await left('HEAD'), '100;w=21600');
      assert.equal(await left('GET'), '99;w=21600');
      upstream.limitPulls(0);
      assert.equal((await fetch(url, { headers })).status, 429);
    }));

  test('dockerHub: a revoked token is named invalid', () =>
    withUpstream({ personality: 'dockerHub' }, async (upstream) => {
      const headers = { authorization: `Bearer ${await token(upstream)}` };
      upstream.revokeTokens();
      const response = await fetch(`${upstream.url}/v2/library/app/manifests/latest`, { headers });
      assert.equal(response.status, 401);
      assert.match(response.headers.get('www-authenticate') ?? '', /error="invalid_token"/);
    }));

  test('without anonymous access the token grants nothing', () =>
    withUpstream({ personality: 'dockerHub', credentials: account, anonymous: false }, async (upstream) => {
      const headers = { authorization: `Bearer ${await token(upstream)}` };
      const response = await fetch(`${upstream.url}/v2/library/app/manifests/latest`, { headers });
      assert.equal(response.status, 401);
      assert.match(response.headers.get('www-authenticate') ?? '', /error="insufficient_scope"/);
    }));

  test('ecr: a URL signed for GET refuses HEAD', () =>
    withUpstream({ personality: 'ecr', credentials: account }, async (upstream) => {
      const response = await fetch(blobUrl(upstream, layer), { method: 'HEAD', headers: { authorization: basic() } });
      assert.equal(response.status, 403);
    }));

  test('ghcr: referrers lead elsewhere', () =>
    withUpstream({ personality: 'ghcr' }, async (upstream) => {
      const headers = { authorization: `Bearer ${await token(upstream)}` };
      const url = `${upstream.url}/v2/library/app/referrers/${image.index.digest}`;
      const response = await fetch(url, { headers, redirect: 'manual' });
      assert.equal(response.status, 303);
      assert.equal((await fetch(response.headers.get('location') ?? '')).status, 429);
    }));

  test('leaks() finds a token at the redirect target, and a password at the registry', () =>
    withUpstream({ personality: 'dockerHub' }, async (upstream) => {
      await fetch(`${upstream.cdnUrl}/v2/library/app/blobs/x`, { headers: { authorization: 'Bearer x' } });
      await fetch(`${upstream.url}/v2/`, { headers: { authorization: basic() } });
      assert.equal(upstream.leaks().length, 2, upstream.leaks().join('\n'));
    }));
});

describe('lists', () => {
  test('tags come in pages', () =>
    withUpstream({}, async (upstream) => {
      upstream.add(image, 'library/app', ['v3', 'v1', 'v2']);
      const first = await fetch(`${upstream.url}/v2/library/app/tags/list?n=2`);
      assert.deepEqual(await first.json(), { name: 'library/app', tags: ['latest', 'v1'] });
      assert.equal(first.headers.get('link'), '</v2/library/app/tags/list?n=2&last=v1>; rel="next"');
      const second = await fetch(`${upstream.url}/v2/library/app/tags/list?n=2&last=v1`);
      assert.deepEqual(await second.json(), { name: 'library/app', tags: ['v2', 'v3'] });
      assert.equal(second.headers.get('link'), null);
    }));

  test('referrers are found by their subject', () =>
    withUpstream({}, async (upstream) => {
      const referrer = buildReferrer(image.index);
      upstream.library.addManifest('library/app', referrer.manifest);
      const response = await fetch(`${upstream.url}/v2/library/app/referrers/${image.index.digest}`);
      const { manifests } = (await response.json()) as { manifests: { digest: string }[] };
      assert.deepEqual(
        manifests.map((each) => each.digest),
        [referrer.manifest.digest],
      );
    }));
});

describe('ranges', () => {
  for (const [range, status, expected] of [
    ['bytes=10-19', 206, big.bytes.subarray(10, 20)],
    ['bytes=1048570-', 206, big.bytes.subarray(1048570)],
    ['bytes=-5', 206, big.bytes.subarray(-5)],
    ['bytes=0-99999999', 206, big.bytes],
    ['bytes=1-2,5-6', 200, big.bytes],
  ] as const) {
    test(`${range} is answered ${status}`, () =>
      withUpstream({}, async (upstream) => {
        const response = await fetch(blobUrl(upstream, big), { headers: { range } });
        assert.equal(response.status, status);
        assert.ok(Buffer.from(await response.arrayBuffer()).equals(expected));
      }));
  }

  test('a range behind the end is answered 416', () =>
    withUpstream({}, async (upstream) => {
      const response = await fetch(blobUrl(upstream, big), { headers: { range: 'bytes=1048576-' } });
      assert.equal(response.status, 416);
      assert.equal(response.headers.get('content-range'), 'bytes */1048576');
    }));
});

describe('faults', () => {
  test('cutAt breaks the connection after exactly so many bytes, once, and a range resumes', () =>
    withUpstream({ personality: 'dockerHub' }, async (upstream) => {
      upstream.fault(big.digest, { cutAt: 100_000, times: 1 });
      const headers = { authorization: `Bearer ${await token(upstream)}` };
      // The redirect on the way must not use the fault up.
      const broken = await readWhatComes(await fetch(blobUrl(upstream, big), { headers }));
      assert.equal(broken.length, 100_000);
      const rest = await fetch(blobUrl(upstream, big), { headers: { ...headers, range: 'bytes=100000-' } });
      const whole = Buffer.concat([broken, Buffer.from(await rest.arrayBuffer())]);
      assert.equal(digestOf(whole), big.digest);
      assert.equal(upstream.requests.filter((request) => request.end === 'cut').length, 1);
    }));

  test('flipAt delivers one wrong byte', () =>
    withUpstream({}, async (upstream) => {
      upstream.fault(big.digest, { flipAt: 70_000 });
      const bytes = Buffer.from(await (await fetch(blobUrl(upstream, big))).arrayBuffer());
      assert.notEqual(bytes[70_000], big.bytes[70_000]);
      bytes[70_000] = big.bytes[70_000] as number;
      assert.equal(digestOf(bytes), big.digest);
    }));

  test('endAt ends a chunked body early as if it were whole', () =>
    withUpstream({}, async (upstream) => {
      upstream.fault(big.digest, { endAt: 5000 });
      const response = await fetch(blobUrl(upstream, big));
      assert.equal(response.headers.get('content-length'), null);
      assert.equal((await response.arrayBuffer()).byteLength, 5000);
    }));

  test('contentLength says too much, and the connection breaks', () =>
    withUpstream({}, async (upstream) => {
      upstream.fault(big.digest, { contentLength: big.size + 1 });
      const response = await fetch(blobUrl(upstream, big));
      assert.equal(response.headers.get('content-length'), String(big.size + 1));
      assert.equal((await readWhatComes(response)).length, big.size);
    }));

  test('stallAt goes on when its gate opens', () =>
    withUpstream({}, async (upstream) => {
      const gate = new Gate();
      upstream.fault(big.digest, { stallAt: 1000, stallGate: gate });
      const response = await fetch(blobUrl(upstream, big));
      await gate.arrived();
      assert.equal(upstream.requests.at(-1)?.bytes, 1000);
      gate.open();
      assert.equal((await response.arrayBuffer()).byteLength, big.size);
    }));

  test('hold() keeps requests until opened, and counts who came', () =>
    withUpstream({}, async (upstream) => {
      const gate = upstream.hold({ kind: 'manifest' });
      const url = `${upstream.url}/v2/library/app/manifests/latest`;
      const answers = [fetch(url), fetch(url)];
      await gate.arrived(2);
      assert.equal(await Promise.race([answers[0], sleep(20, 'waiting')]), 'waiting');
      gate.open();
      assert.deepEqual(await Promise.all(answers.map(async (each) => (await each).status)), [200, 200]);
    }));

  test('a burst of statuses ends after its times', () =>
    withUpstream({}, async (upstream) => {
      upstream.fault({ kind: 'manifest' }, { status: 429, headers: { 'retry-after': '7' }, body: 'HAP429', times: 2 });
      const url = `${upstream.url}/v2/library/app/manifests/latest`;
      const first = await fetch(url);
      assert.equal(first.headers.get('retry-after'), '7');
      assert.equal(await first.text(), 'HAP429');
      assert.equal((await fetch(url)).status, 429);
      assert.equal((await fetch(url)).status, 200);
    }));

  test('reset closes the connection without an answer', () =>
    withUpstream({}, async (upstream) => {
      upstream.fault(/manifests/, { reset: true });
      await assert.rejects(fetch(`${upstream.url}/v2/library/app/manifests/latest`));
    }));

  test('ignoreRange answers 200 with everything', () =>
    withUpstream({}, async (upstream) => {
      upstream.fault(big.digest, { ignoreRange: true });
      const response = await fetch(blobUrl(upstream, big), { headers: { range: 'bytes=10-19' } });
      assert.equal(response.status, 200);
      assert.equal((await response.arrayBuffer()).byteLength, big.size);
    }));

  test('headers are replaced and taken away', () =>
    withUpstream({}, async (upstream) => {
      upstream.fault(
        { kind: 'manifest' },
        { headers: { 'docker-content-digest': null, 'content-type': 'text/plain' } },
      );
      const response = await fetch(`${upstream.url}/v2/library/app/manifests/latest`, { method: 'HEAD' });
      assert.equal(response.headers.get('docker-content-digest'), null);
      assert.equal(response.headers.get('content-type'), 'text/plain');
    }));

  test('bytesPerSecond takes its time', () =>
    withUpstream({}, async (upstream) => {
      upstream.fault(layer.digest, { bytesPerSecond: layer.size * 4 });
      const started = performance.now();
      await (await fetch(blobUrl(upstream, layer))).arrayBuffer();
      assert.ok(performance.now() - started > 200);
    }));

  test('counts from the start of each answer: a flip, a stall and an early end of a part', () =>
    withUpstream({}, async (upstream) => {
      const part = async (fault: Fault): Promise<Buffer> => {
        const heal = upstream.fault(big.digest, { ...fault, times: 1 });
        const answer = await fetch(blobUrl(upstream, big), { headers: { range: 'bytes=1000-1999' } });
        const body = readWhatComes(answer);
        if (fault.stallGate !== undefined) {
          await fault.stallGate.arrived();
          assert.equal(upstream.requests.at(-1)?.bytes, 10);
          fault.stallGate.open();
        }
        heal();
        return body;
      };
      const right = big.bytes.subarray(1000, 2000);
      const flipped = await part({ flipAfter: 10 });
      assert.deepEqual([flipped.length, flipped[9], flipped[10]], [1000, right[9], (right[10] as number) ^ 1]);
      assert.ok((await part({ endAfter: 10 })).equals(right.subarray(0, 10)));
      assert.ok((await part({ stallAfter: 10, stallGate: new Gate() })).equals(right));
    }));

  test('runsOver sends more than the part, and shifted another one', () =>
    withUpstream({}, async (upstream) => {
      const headers = { range: 'bytes=1000-1999' };
      upstream.fault(big.digest, { runsOver: 7, times: 1 });
      const long = await fetch(blobUrl(upstream, big), { headers });
      assert.equal(long.headers.get('content-range'), `bytes 1000-1999/${big.size}`);
      assert.ok(Buffer.from(await long.arrayBuffer()).equals(big.bytes.subarray(1000, 2007)));
      upstream.fault(big.digest, { shifted: 5, times: 1 });
      const shifted = await fetch(blobUrl(upstream, big), { headers });
      assert.equal(shifted.headers.get('content-range'), `bytes 1005-1999/${big.size}`);
      assert.ok(Buffer.from(await shifted.arrayBuffer()).equals(big.bytes.subarray(1005, 2000)));
    }));

  test('strikes what a function aims at, and tells of each strike', () =>
    withUpstream({}, async (upstream) => {
      const struck: string[] = [];
      upstream.fault(({ range }) => range === 'bytes=5-9', {
        status: 416,
        times: 1,
        onStrike: ({ range = '' }) => struck.push(range),
      });
      const statuses: number[] = [];
      for (const range of ['bytes=0-9', 'bytes=5-9', 'bytes=5-9']) {
        const answer = await fetch(blobUrl(upstream, big), { headers: { range } });
        await answer.arrayBuffer();
        statuses.push(answer.status);
      }
      assert.deepEqual([statuses, struck], [[206, 416, 206], ['bytes=5-9']]);
    }));

  test('signed URLs are good for so many uses, or for so long', async () => {
    for (const [signatures, expected] of [
      [{ uses: 1 }, [200, 403]],
      [{ lasts: -1 }, [403, 403]],
    ] as const) {
      await withUpstream({ personality: 'quay', signatures }, async (upstream) => {
        const headers = { authorization: `Bearer ${await token(upstream)}` };
        const { status, headers: answered } = await fetch(blobUrl(upstream, big), { redirect: 'manual', headers });
        assert.equal(status, 302);
        const url = answered.get('location') ?? '';
        const statuses = [await fetch(url), await fetch(url)].map((answer) => answer.status);
        assert.deepEqual(statuses, expected);
      });
    }
  });

  test('refuseConnections() lets what is open go on, until it is to take connections again', () =>
    withUpstream({}, async (upstream) => {
      const gate = new Gate();
      upstream.fault(big.digest, { stallAt: 1000, stallGate: gate, times: 1 });
      const open = await fetch(blobUrl(upstream, big));
      const accept = upstream.refuseConnections('registry');
      await assert.rejects(fetch(`${upstream.url}/v2/`));
      gate.open();
      assert.equal((await open.arrayBuffer()).byteLength, big.size);
      await accept();
      assert.equal((await fetch(`${upstream.url}/v2/`)).status, 200);
    }));

  test('heal() ends it all', () =>
    withUpstream({}, async (upstream) => {
      upstream.fault({ kind: 'manifest' }, { status: 500 });
      upstream.heal();
      assert.equal((await fetch(`${upstream.url}/v2/library/app/manifests/latest`)).status, 200);
    }));
});

function basic(): string {
  return `Basic ${Buffer.from(`${account.username}:${account.password}`).toString('base64')}`;
}

async function token(upstream: ScriptedUpstream): Promise<string> {
  const response = await fetch(`${upstream.realm}?scope=repository:library/app:pull`);
  return ((await response.json()) as { token: string }).token;
}

/** GETs as a well-behaved client: answers the challenge, follows redirects without the credential. */
async function politely(upstream: ScriptedUpstream, path: string): Promise<Buffer> {
  let response = await fetch(upstream.url + path, { redirect: 'manual' });
  const challenge = response.headers.get('www-authenticate') ?? '';
  let authorization: string | undefined;
  if (challenge.startsWith('Basic')) authorization = basic();
  if (challenge.startsWith('Bearer')) {
    const [realm, scope] = ['realm', 'scope'].map((key) => new RegExp(`${key}="([^"]*)"`).exec(challenge)?.[1] ?? '');
    const answer = (await (
      await fetch(`${realm}?${new URLSearchParams({ scope: scope ?? '' }).toString()}`)
    ).json()) as {
      token?: string;
    };
    authorization = `Bearer ${answer.token}`;
  }
  if (authorization !== undefined) {
    response = await fetch(upstream.url + path, { redirect: 'manual', headers: { authorization } });
  }
  const location = response.headers.get('location');
  if (location !== null) response = await fetch(location);
  assert.equal(response.status, 200, upstream.journal());
  return Buffer.from(await response.arrayBuffer());
}

/** The body as far as it came. */
async function readWhatComes(response: Response): Promise<Buffer> {
  const chunks: Uint8Array[] = [];
  try {
    for await (const chunk of response.body ?? []) chunks.push(chunk);
  } catch {
    // Broken off, as the test wants it.
  }
  return Buffer.concat(chunks);
}
