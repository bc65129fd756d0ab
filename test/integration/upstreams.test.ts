import assert from 'node:assert/strict';
import { chmod } from 'node:fs/promises';
import { createServer } from 'node:net';
import { after, before, describe, test } from 'node:test';
import { MEDIA_TYPES } from '../../src/oci/index.ts';
import { serve } from '../support/connect-upstreams.ts';
import { buildImage, buildReferrer, type Content, content, platformOf } from '../support/image.ts';
import { startMiddlebox } from '../support/middlebox.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { freePort, Workspace } from '../support/processes.ts';
import { type RawResponse, rawRequest } from '../support/raw-request.ts';
import { PERSONALITIES, type PersonalityName } from '../support/scripted/personality.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// The registries of the world, each with its habits and its bad days, behind the whole server.

const REPOSITORY = 'team/app';
const PASSWORD = 'canary-password-of-the-upstream';
const credentials = { username: 'robot', password: PASSWORD };
const image = buildImage({ seed: 'upstreams' });
const amd64 = platformOf(image, 'amd64');
const layer = amd64.layers[1] as Content;

/** Headers a careless client sends along, and that concern no upstream. */
const CLIENT = {
  authorization: `Basic ${Buffer.from('carol:canary-password-of-the-client').toString('base64')}`,
  cookie: 'session=canary-cookie-of-the-client',
  'x-forwarded-for': '203.0.113.99',
  'accept-encoding': 'zstd;q=1.0, gzip;q=0.8',
};

/** Pulls the image as a client does: tag, platform, config and layers. */
async function pull(mirror: Mirror, { front = '/up/v2', headers = CLIENT } = {}): Promise<RawResponse[]> {
  const manifests = ['latest', image.index.digest, amd64.manifest.digest].map((reference) => `manifests/${reference}`);
  const blobs = [amd64.config, ...amd64.layers].map(({ digest }) => `blobs/${digest}`);
  const answers: RawResponse[] = [];
  for (const what of [...manifests, ...blobs])
    answers.push(await mirror.get(`${front}/${REPOSITORY}/${what}`, headers));
  const expected = [image.index, image.index, amd64.manifest, amd64.config, ...amd64.layers];
  for (const [i, { status, body, whole }] of answers.entries()) {
    assert.equal(status, 200, body.toString());
    assert.ok(whole && body.equals((expected[i] as Content).bytes), `answer ${i}`);
  }
  return answers;
}

/** Asserts that nothing a client said of itself was passed on, and no credential strayed. */
function assertDiscreet(upstream: ScriptedUpstream, mirror: Mirror): void {
  assert.deepEqual(upstream.leaks(), []);
  for (const { headers, url } of upstream.requests) {
    const said = JSON.stringify(headers);
    assert.doesNotMatch(said, /of-the-client|203\.0\.113\.99|c29tZWJvZHk6/, url);
    assert.ok((headers['accept-encoding'] ?? 'identity') === 'identity', said);
  }
  const log = mirror.log.map((line) => JSON.stringify(line)).join('\n');
  const secrets = [PASSWORD, Buffer.from(`robot:${PASSWORD}`).toString('base64'), 'canary-token', 'X-Amz-Signature'];
  for (const secret of [...secrets, 'of-the-client']) assert.ok(!log.includes(secret), `${secret} is in the log`);
}

describe('a registry of each kind', () => {
  for (const name of Object.keys(PERSONALITIES) as PersonalityName[]) {
    const { auth } = PERSONALITIES[name];
    for (const secret of auth.kind === 'basic' ? [credentials] : [undefined, credentials]) {
      test(`${name}, ${secret === undefined ? 'anonymously' : 'with a password'}`, async () => {
        const registry = { personality: name, ...(secret && { credentials: secret, anonymous: false }) };
        await using upstream = await startScriptedUpstream(registry);
        upstream.add(image, REPOSITORY, ['latest']);
        const spec = { url: upstream.url, ...(secret && { credentials: secret }) };
        await using mirror = await startMirror({ registries: { up: { upstreams: [spec] } } });
        await pull(mirror);
        const bodies = upstream.blobBodies().length;
        await pull(mirror);
        assert.equal(upstream.blobBodies().length, bodies, 'warm: no blob leaves the upstream');
        assert.ok(upstream.count({ at: 'token' }) <= 1, `one token does for a repository:\n${upstream.journal()}`);
        // Private or not is noted by what was sent, and both are served here (no client is kept out yet).
        assertDiscreet(upstream, mirror);
        assert.equal(mirror.log.filter((line) => line.level === 'warn' || line.level === 'error').length, 0);
      });
    }
  }

  test('fifty clients at once need one token', async () => {
    await using upstream = await startScriptedUpstream({ personality: 'dockerHub' });
    upstream.add(image, REPOSITORY, ['latest']);
    await using mirror = await startMirror({ registries: { up: { upstreams: [upstream.url] } } });
    const references = [...image.manifests.map(({ digest }) => digest), 'latest'];
    const asked = Array.from({ length: 50 }, (_, i) =>
      mirror.get(`/up/v2/${REPOSITORY}/manifests/${references[i % references.length]}`),
    );
    for (const { status } of await Promise.all(asked)) assert.equal(status, 200);
    assert.equal(upstream.count({ at: 'token' }), 1);
  });

  test('a token that was revoked is replaced, and the client sees nothing of it', async () => {
    await using upstream = await startScriptedUpstream({ personality: 'dockerHub' });
    upstream.add(image, REPOSITORY, ['latest']);
    await using mirror = await startMirror({ registries: { up: { upstreams: [upstream.url] } } });
    assert.equal((await mirror.get(`/up/v2/${REPOSITORY}/manifests/latest`)).status, 200);
    upstream.revokeTokens();
    assert.equal((await mirror.get(`/up/v2/${REPOSITORY}/blobs/${layer.digest}`)).status, 200);
    assert.equal(upstream.count({ at: 'token' }), 2);
  });

  test('rate-limit headers do no harm and are not passed on; the last pull is followed by 429', async () => {
    await using upstream = await startScriptedUpstream({ personality: 'dockerHub' });
    upstream.add(image, REPOSITORY, ['latest', 'next']);
    await using mirror = await startMirror({ registries: { up: { upstreams: [upstream.url] } } });
    upstream.limitPulls(1);
    const last = await mirror.get(`/up/v2/${REPOSITORY}/manifests/latest`);
    assert.deepEqual([last.status, last.headers['ratelimit-remaining']], [200, undefined]);
    assert.equal((await mirror.get(`/up/v2/${REPOSITORY}/manifests/${amd64.manifest.digest}`)).status, 429);
    // A HEAD is no pull, and what the other tag points to is here already.
    assert.equal((await mirror.head(`/up/v2/${REPOSITORY}/manifests/next`)).status, 200);
    assert.equal((await mirror.get(`/up/v2/${REPOSITORY}/manifests/next`)).status, 200);
  });
});

describe('hot, then cold', () => {
  const troubles = [
    ['404', { status: 404 }],
    ['401', { status: 401 }],
    ['500', { status: 500 }],
    ['429', { status: 429 }],
    ['a broken connection', { reset: true }],
    ['a redirect to nowhere', { status: 307, headers: { location: 'http://127.0.0.1:1/' } }],
  ] as const;
  for (const [what, fault] of troubles) {
    test(`${what} of the first leads to the second, and the log says who answered`, async () => {
      await using hot = await startScriptedUpstream();
      await using cold = await startScriptedUpstream({ personality: 'dockerHub' });
      for (const each of [hot, cold]) each.add(image, REPOSITORY, ['latest']);
      hot.fault({}, fault);
      await using mirror = await startMirror({ registries: { up: { upstreams: named({ hot, cold }) } } });
      await pull(mirror);
      for (const line of mirror.accessLog().filter(({ cache }) => cache === 'MISS'))
        assert.equal(line.upstream, 'cold');
      assert.ok(
        mirror.log.some((line) => line.msg === 'upstream.failover' && line['from'] === 'hot' && line['to'] === 'cold'),
      );
      for (const each of [hot, cold]) assert.deepEqual(each.leaks(), []);
    });
  }

  test('a first that refuses connections leads to the second', async () => {
    await using cold = await startScriptedUpstream();
    cold.add(image, REPOSITORY, ['latest']);
    const down = { name: 'hot', url: `http://127.0.0.1:${await freePort()}` };
    await using mirror = await startMirror({
      registries: { up: { upstreams: [down, { name: 'cold', url: cold.url }] } },
    });
    await pull(mirror);
    for (const line of mirror.accessLog().filter(({ cache }) => cache === 'MISS')) assert.equal(line.upstream, 'cold');
  });

  test('a first that says nothing leads to the second in time', async () => {
    const silent = createServer((socket) => socket.on('error', () => undefined));
    await new Promise<void>((resolve) => silent.listen(0, '127.0.0.1', resolve));
    const { port } = silent.address() as { port: number };
    await using cold = await startScriptedUpstream();
    cold.add(image, REPOSITORY, ['latest']);
    await using mirror = await startMirror({
      transport: { response_header_timeout: '200ms' },
      registries: { up: { upstreams: [`http://127.0.0.1:${port}`, cold.url] } },
    });
    assert.equal((await mirror.get(`/up/v2/${REPOSITORY}/manifests/latest`)).status, 200);
    silent.close();
  });

  test('the first that has it answers alone', async () => {
    await using hot = await startScriptedUpstream();
    await using cold = await startScriptedUpstream();
    for (const each of [hot, cold]) each.add(image, REPOSITORY, ['latest']);
    await using mirror = await startMirror({ registries: { up: { upstreams: named({ hot, cold }) } } });
    await pull(mirror);
    assert.equal(cold.requests.length, 0);
    for (const line of mirror.accessLog().filter(({ cache }) => cache === 'MISS')) assert.equal(line.upstream, 'hot');
  });

  test('none has it: 404; one could not be asked: not 404', async () => {
    const path = `/up/v2/${REPOSITORY}/manifests/latest`;
    for (const [fault, expected] of [
      [{ status: 429, headers: { 'retry-after': '9' } }, [429, '9']],
      [{ status: 503 }, [503, undefined]],
    ] as const) {
      // A mirror of its own each time: an upstream that has throttled is not asked again so soon.
      await using hot = await startScriptedUpstream();
      await using cold = await startScriptedUpstream();
      await using mirror = await startMirror({
        cache: { not_found_for: '0s' },
        registries: { up: { upstreams: named({ hot, cold }) } },
      });
      assert.equal((await mirror.get(path)).status, 404);
      hot.fault({}, fault);
      const failed = await mirror.get(path);
      assert.deepEqual([failed.status, failed.headers['retry-after']], expected);
    }
  });

  test('a blob whose first copy is cut is finished by the second', async () => {
    await using hot = await startScriptedUpstream();
    await using cold = await startScriptedUpstream();
    for (const each of [hot, cold]) each.add(image, REPOSITORY, ['latest']);
    hot.fault({ kind: 'blob', reference: layer.digest }, { cutAt: 100_000 });
    hot.fault({ kind: 'blob', reference: layer.digest, method: 'GET' }, { status: 500, after: 1 });
    await using mirror = await startMirror({ registries: { up: { upstreams: named({ hot, cold }) } } });
    await pull(mirror);
    assert.deepEqual(
      cold.blobBodies(layer.digest).map(({ range }) => range),
      ['bytes=100000-'],
    );
  });

  function named(upstreams: Readonly<Record<string, ScriptedUpstream>>): { name: string; url: string }[] {
    return Object.entries(upstreams).map(([name, { url }]) => ({ name, url }));
  }
});

describe('delivery: redirect', () => {
  const path = `/up/v2/${REPOSITORY}/blobs/${layer.digest}`;

  for (const personality of ['plain', 'dockerHub', 'ghcr', 'quay', 'ecrPublic', 'k8s'] as const) {
    test(`${personality}, no credential of ours: 307 to a place the client can go to, which has the blob`, async () => {
      await using upstream = await startScriptedUpstream({ personality });
      upstream.add(image, REPOSITORY, ['latest']);
      await using mirror = await startMirror({
        registries: { up: { upstreams: [upstream.url], delivery: 'redirect' } },
      });
      const answer = await mirror.get(path);
      assert.deepEqual([answer.status, answer.headers['cache-control']], [307, 'no-store']);
      const location = new URL(answer.headers['location'] ?? '');
      const signed = location.origin === upstream.cdnUrl;
      assert.ok(signed || location.origin === upstream.url, location.origin);
      if (signed)
        assert.ok(
          (await rawRequest(location.host, { path: location.pathname + location.search })).body.equals(layer.bytes),
        );
      assertDiscreet(upstream, mirror);
      await assertNothingKept(mirror);
    });
  }

  for (const personality of ['ecr', 'dockerHub'] as const) {
    test(`${personality}, with our credential: 307 to the signed URL alone, never twice the same`, async () => {
      await using upstream = await startScriptedUpstream({ personality, credentials, anonymous: false });
      upstream.add(image, REPOSITORY, ['latest']);
      const spec = { url: upstream.url, credentials };
      await using mirror = await startMirror({ registries: { up: { upstreams: [spec], delivery: 'redirect' } } });
      const locations = [await mirror.get(path), await mirror.get(path)].map((answer) => {
        assert.equal(answer.status, 307);
        return new URL(answer.headers['location'] ?? '');
      });
      assert.notEqual(locations[0]?.href, locations[1]?.href);
      for (const { origin, host, pathname, search } of locations) {
        assert.equal(origin, upstream.cdnUrl);
        const answer = await rawRequest(host, { path: pathname + search });
        assert.ok(answer.body.equals(layer.bytes));
      }
      assertDiscreet(upstream, mirror);
      await assertNothingKept(mirror);
    });
  }

  test('where only our credential opens the blob it is streamed, verified, and not kept', async () => {
    const personality = { ...PERSONALITIES.plain, auth: PERSONALITIES.ecr.auth };
    await using upstream = await startScriptedUpstream({ personality, credentials });
    upstream.add(image, REPOSITORY, ['latest']);
    const spec = { url: upstream.url, credentials };
    await using mirror = await startMirror({ registries: { up: { upstreams: [spec], delivery: 'redirect' } } });
    const answer = await mirror.get(path);
    assert.equal(answer.status, 200);
    assert.ok(answer.whole && answer.body.equals(layer.bytes));
    await assertNothingKept(mirror);
    assertDiscreet(upstream, mirror);
  });

  test('HEAD and manifests are never redirected', async () => {
    await using upstream = await startScriptedUpstream({ personality: 'k8s' });
    upstream.add(image, REPOSITORY, ['latest']);
    await using mirror = await startMirror({ registries: { up: { upstreams: [upstream.url], delivery: 'redirect' } } });
    const head = await mirror.head(path);
    assert.deepEqual([head.status, head.headers['content-length']], [200, String(layer.size)]);
    for (const reference of ['latest', amd64.manifest.digest]) {
      for (const answer of [await mirror.head(at(reference)), await mirror.get(at(reference))])
        assert.equal(answer.status, 200);
    }
    function at(reference: string): string {
      return `/up/v2/${REPOSITORY}/manifests/${reference}`;
    }
  });

  async function assertNothingKept(mirror: Mirror): Promise<void> {
    const { cache } = await mirror.app.status();
    assert.ok(cache !== 'off');
    assert.equal(cache.blobs, 0);
  }
});

describe('credentials', () => {
  let workspace: Workspace;
  let upstream: ScriptedUpstream;
  before(async () => {
    workspace = await Workspace.open();
    upstream = await startScriptedUpstream({ personality: 'dockerHub', credentials, anonymous: false });
    upstream.add(image, REPOSITORY, ['latest']);
  });
  after(async () => {
    await upstream.stop();
    await workspace.close();
  });

  async function pullWith(how: Record<string, unknown>): Promise<void> {
    const registries = { up: { upstreams: [{ url: upstream.url, credentials: how }] } };
    await using mirror = await startMirror({ registries });
    await pull(mirror);
    assertDiscreet(upstream, mirror);
  }

  test('from the environment', async (t) => {
    process.env['TEST_UPSTREAM_PASSWORD'] = PASSWORD;
    t.after(() => delete process.env['TEST_UPSTREAM_PASSWORD']);
    await pullWith({ username: 'robot', password: { env: 'TEST_UPSTREAM_PASSWORD' } });
  });

  test('from a file, and from the file as it is by then', async () => {
    const file = await workspace.file('password', 'not yet\n');
    const how = { username: 'robot', password: { file } };
    await using mirror = await startMirror({
      registries: { up: { upstreams: [{ url: upstream.url, credentials: how }] } },
    });
    const path = `/up/v2/${REPOSITORY}/manifests/latest`;
    assert.equal((await mirror.get(path)).status, 404, 'denied and absent look alike');
    await workspace.file('password', `${PASSWORD}\n`);
    assert.equal((await mirror.get(path)).status, 200);
    assertDiscreet(upstream, mirror);
  });

  test('from a helper', async (t) => {
    const answer = JSON.stringify({ ServerURL: upstream.host, Username: 'robot', Secret: PASSWORD });
    // It answers for the one server it knows.
    const script = `#!/bin/sh\nread -r server\n[ "$1 $server" = "get ${upstream.host}" ] && echo '${answer}'\n`;
    await chmod(await workspace.file('bin/docker-credential-scripted', script), 0o755);
    const before = process.env['PATH'] ?? '';
    process.env['PATH'] = `${workspace.path('bin')}:${before}`;
    t.after(() => {
      process.env['PATH'] = before;
    });
    await pullWith({ helper: 'scripted' });
  });

  test('what is configured for one upstream goes to no other', async () => {
    await using open = await startScriptedUpstream({ personality: 'dockerHub' });
    open.add(image, REPOSITORY, ['latest']);
    const locked = { url: upstream.url, credentials: { username: 'robot', password: 'canary-wrong' } };
    await using mirror = await startMirror({
      registries: { up: { upstreams: [{ ...locked, headers: { 'X-Key': 'canary-key' } }, open.url] } },
    });
    await pull(mirror);
    assert.doesNotMatch(JSON.stringify(open.requests), /canary-(wrong|key)|cm9ib3Q6/);
    assert.ok(upstream.requests.some((request) => request.headers['x-key'] === 'canary-key'));
    assert.deepEqual(
      upstream.requests.filter(({ at, headers }) => at !== 'registry' && 'x-key' in headers),
      [],
    );
  });
});

describe('an upstream that something on the way answers for', () => {
  const path = `/up/v2/${REPOSITORY}/manifests/latest`;

  test('is not one that lacks the image: 503 with the remedy, a warning and a metric', async () => {
    await using site = await serve((_, response) => {
      response.writeHead(403, { 'x-amzn-waf-action': 'captcha', 'content-type': 'text/html' }).end('<html>');
    });
    await using mirror = await startMirror({ registries: { up: { upstreams: [{ url: site.url, name: 'far' }] } } });
    const answer = await mirror.get(path);
    assert.equal(answer.status, 503);
    assert.match(answer.body.toString(), /"UNAVAILABLE".*blocked by the web application firewall of AWS\. Ask the/);
    await mirror.logged(({ level, msg }) => level === 'warn' && /of far is blocked by the web/.test(msg));
    const metrics = (await mirror.get('/metrics')).body.toString();
    assert.match(
      metrics,
      /^entrepot_upstream_requests_blocked_total\{registry="up",upstream="far",by="firewall"\} 1$/m,
    );
  });

  test('because it resets the TLS handshake is named, with the remedy, and counted', async (t) => {
    const middlebox = await startMiddlebox(1, () => 'reset');
    t.after(() => middlebox.close());
    const url = `https://127.0.0.1:${middlebox.port}`;
    await using mirror = await startMirror({ registries: { up: { upstreams: [{ url, name: 'far' }] } } });
    const answer = await mirror.get(path);
    assert.equal(answer.status, 503);
    assert.match(answer.body.toString(), /reset during the TLS handshake.*set transport\.first_fragment_len: 3/);
    const metrics = (await mirror.get('/metrics')).body.toString();
    assert.match(
      metrics,
      /^entrepot_upstream_requests_blocked_total\{registry="up",upstream="far",by="tls-reset"\} \d+$/m,
    );
  });
});

describe('referrers', () => {
  const sbom = buildReferrer(image.index, { artifactType: 'application/vnd.example.sbom' });
  const note = buildReferrer(image.index, { artifactType: 'application/vnd.example.note' });
  const path = `/up/v2/${REPOSITORY}/referrers/${image.index.digest}`;

  async function withReferrers(personality: PersonalityName): Promise<ScriptedUpstream> {
    const upstream = await startScriptedUpstream({ personality });
    upstream.add(image, REPOSITORY, ['latest']);
    for (const { manifest, blobs } of [sbom, note]) {
      upstream.library.addManifest(REPOSITORY, manifest);
      for (const blob of blobs) upstream.addBlob(REPOSITORY, blob);
    }
    return upstream;
  }

  /** The digests of an index of referrers, sorted. */
  function digestsOf(answer: RawResponse): string[] {
    assert.deepEqual(
      [answer.status, answer.headers['content-type']],
      [200, MEDIA_TYPES.ociIndex],
      answer.body.toString(),
    );
    const { manifests } = JSON.parse(answer.body.toString()) as { manifests: { digest: string }[] };
    return manifests.map(({ digest }) => digest).sort();
  }

  test('as the upstream has them, and filtered where it filters', async () => {
    await using upstream = await withReferrers('dockerHub');
    await using mirror = await startMirror({ registries: { up: { upstreams: [upstream.url] } } });
    assert.deepEqual(digestsOf(await mirror.get(path)), [sbom.manifest.digest, note.manifest.digest].sort());
    const filtered = await mirror.get(`${path}?artifactType=application%2Fvnd.example.sbom`);
    assert.deepEqual(digestsOf(filtered), [sbom.manifest.digest]);
    assert.equal(filtered.headers['oci-filters-applied'], 'artifactType');
  });

  for (const personality of ['ghcr', 'ecrPublic'] as const) {
    test(`${personality} has no list: from the fallback tag, and none of cosign’s`, async () => {
      await using upstream = await withReferrers(personality);
      const tag = image.index.digest.replace(':', '-');
      const { mediaType, digest, size } = sbom.manifest;
      const artifactType = 'application/vnd.example.sbom';
      const index = {
        schemaVersion: 2,
        mediaType: MEDIA_TYPES.ociIndex,
        manifests: [{ mediaType, digest, size, artifactType }],
      };
      const fallback = content(MEDIA_TYPES.ociIndex, Buffer.from(JSON.stringify(index)));
      upstream.library.addManifest(REPOSITORY, fallback);
      upstream.library.tag(REPOSITORY, { tag, digest: fallback.digest });
      upstream.library.tag(REPOSITORY, { tag: `${tag}.sig`, digest: note.manifest.digest });
      await using mirror = await startMirror({ registries: { up: { upstreams: [upstream.url] } } });
      assert.deepEqual(digestsOf(await mirror.get(path)), [sbom.manifest.digest]);
      const filtered = await mirror.get(`${path}?artifactType=${encodeURIComponent(artifactType)}`);
      assert.deepEqual(digestsOf(filtered), [sbom.manifest.digest]);
      assert.equal(filtered.headers['oci-filters-applied'], 'artifactType');
      assert.equal(upstream.count({ at: 'cdn', kind: 'other' }), 0, 'the 303 to a page is not followed');
    });
  }

  test('none at all is an empty list, not 404', async () => {
    await using upstream = await startScriptedUpstream({ personality: 'ghcr' });
    upstream.add(image, REPOSITORY, ['latest']);
    await using mirror = await startMirror({ registries: { up: { upstreams: [upstream.url] } } });
    assert.deepEqual(digestsOf(await mirror.get(path)), []);
  });
});

describe('what is asked of an upstream', () => {
  test('every manifest type, whatever the client accepts; and one without indexes gets the index', async () => {
    await using upstream = await startScriptedUpstream();
    upstream.add(image, REPOSITORY, ['latest']);
    await using mirror = await startMirror({ registries: { up: { upstreams: [upstream.url] } } });
    const path = `/up/v2/${REPOSITORY}/manifests/latest`;
    const old = await mirror.get(path, { accept: `${MEDIA_TYPES.ociManifest}, ${MEDIA_TYPES.dockerManifest}` });
    assert.equal(old.headers['docker-content-digest'], image.index.digest);
    assert.ok(old.body.equals(image.index.bytes));
    for (const accept of [undefined, '*/*', MEDIA_TYPES.ociIndex]) {
      const answer = await mirror.get(path, accept === undefined ? {} : { accept });
      assert.equal(answer.headers['docker-content-digest'], image.index.digest);
    }
    for (const {
      headers: { accept = '' },
    } of upstream.requests.filter(({ kind }) => kind === 'manifest')) {
      for (const type of [
        MEDIA_TYPES.ociIndex,
        MEDIA_TYPES.ociManifest,
        MEDIA_TYPES.dockerList,
        MEDIA_TYPES.dockerManifest,
      ]) {
        assert.ok(accept.includes(type), accept);
      }
    }
  });
});
