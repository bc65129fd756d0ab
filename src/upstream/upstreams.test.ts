import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connectUpstreams, readAll, serve } from '../../test/support/connect-upstreams.ts';
import { buildImage, type Content } from '../../test/support/image.ts';
import { type PersonalityName, PERSONALITIES as SCRIPTED } from '../../test/support/scripted/personality.ts';
import { startScriptedUpstream } from '../../test/support/scripted-upstream.ts';
import { digestOf, type FailureKind, type OpenBlobOptions, type Repository } from '../oci/index.ts';
import { UpstreamError } from './error.ts';

const image = buildImage({ architectures: ['amd64'], layers: [300_000] });
const layer = image.platforms[0]?.layers[0] as Content;
const app: Repository = { registry: 'docker.io', repository: 'library/app' };
const latest = { kind: 'tag', tag: 'latest' } as const;
const byDigest = { kind: 'digest', digest: image.index.digest } as const;

const PERSONALITIES: readonly PersonalityName[] = ['plain', 'dockerHub', 'ghcr', 'quay', 'ecrPublic', 'ecr', 'k8s'];
const credentials = { username: 'someone', password: 'canary-password' };

function failsAs(kind: FailureKind, upstream?: string): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof UpstreamError, String(error));
    assert.equal(error.kind, kind, error.message);
    if (upstream !== undefined) assert.equal(error.upstream, upstream);
    return true;
  };
}

describe('a pull through', () => {
  for (const personality of PERSONALITIES) {
    for (const secret of personality === 'ecr' ? [true] : [false, true]) {
      test(`${personality} ${secret ? 'with a credential' : 'without one'} brings the right bytes and leaks nothing`, async () => {
        const given = secret ? { credentials } : {};
        await using registry = await startScriptedUpstream({ personality, anonymous: !secret, ...given });
        registry.add(image, app.repository, ['latest']);
        await using origin = connectUpstreams({ url: registry.url, ...given });

        const head = await origin.headManifest(app, latest);
        assert.deepEqual(
          [head.digest, head.mediaType, head.size],
          [image.index.digest, image.index.mediaType, image.index.size],
        );
        const manifest = await origin.getManifest(app, { kind: 'digest', digest: head.digest });
        assert.deepEqual(manifest.bytes, image.index.bytes);
        assert.equal((await origin.headBlob(app, layer.digest)).size, layer.size);
        const blob = await origin.openBlob(app, layer.digest);
        assert.deepEqual([blob.size, blob.offset], [layer.size, 0]);
        assert.equal(digestOf(await readAll(blob.body)), layer.digest);
        const part = await origin.openBlob(app, layer.digest, { offset: 1000, end: 1999 });
        assert.deepEqual([part.size, part.offset], [layer.size, 1000]);
        assert.deepEqual(await readAll(part.body), layer.bytes.subarray(1000, 2000));

        const asksWho = registry.personality.auth.kind !== 'none';
        const visibility = secret && asksWho ? 'private' : 'public';
        assert.deepEqual(
          [head, manifest, blob, part].map((each) => each.visibility),
          Array(4).fill(visibility),
        );
        assert.deepEqual(registry.leaks(), [], registry.journal());
        assert.equal(registry.count({ at: 'token' }) <= 1, true, 'one token does for a repository');
        assert.equal(registry.count({ at: 'registry', status: 401 }) <= 1, true, 'one challenge is enough');
        const said = JSON.stringify(origin.events);
        assert.doesNotMatch(said, /canary|Signature/);
      });
    }
  }

  test('fifty first pulls fetch one token', async () => {
    await using registry = await startScriptedUpstream({ personality: 'dockerHub', credentials });
    registry.add(image, app.repository, ['latest']);
    await using upstreams = connectUpstreams({ url: registry.url, credentials });
    await Promise.all(Array.from({ length: 50 }, () => upstreams.headManifest(app, latest)));
    assert.equal(registry.count({ at: 'token' }), 1);
    assert.deepEqual(registry.leaks(), []);
  });

  test('tokens that were revoked and signatures that ran out do not show', async () => {
    await using registry = await startScriptedUpstream({ personality: 'dockerHub' });
    registry.add(image, app.repository, ['latest']);
    await using upstreams = connectUpstreams({ url: registry.url });
    await readAll((await upstreams.openBlob(app, layer.digest)).body);
    registry.revokeTokens();
    registry.expireSignatures();
    assert.equal(digestOf(await readAll((await upstreams.openBlob(app, layer.digest)).body)), layer.digest);
    assert.equal(registry.count({ at: 'token' }), 2);
  });

  test('a wrong password is denied, by token service and by Basic', async () => {
    for (const personality of ['dockerHub', 'ecr'] as const) {
      await using registry = await startScriptedUpstream({ personality, credentials, anonymous: false });
      registry.add(image, app.repository, ['latest']);
      await using upstreams = connectUpstreams({
        url: registry.url,
        credentials: { username: 'someone', password: 'wrong' },
      });
      await assert.rejects(upstreams.getManifest(app, latest), failsAs('denied', registry.host));
      await assert.rejects(upstreams.openBlob(app, layer.digest), failsAs('denied', registry.host));
      assert.deepEqual(registry.leaks(), []);
    }
  });
});

describe('upstreams in order', () => {
  test('the first that has it answers, and no other is asked', async () => {
    await using hot = await startScriptedUpstream();
    await using cold = await startScriptedUpstream();
    for (const each of [hot, cold]) each.add(image, app.repository, ['latest']);
    await using upstreams = connectUpstreams({ url: hot.url, name: 'hot' }, { url: cold.url, name: 'cold' });
    assert.equal((await upstreams.getManifest(app, latest)).upstream, 'hot');
    assert.deepEqual([cold.count(), upstreams.failovers], [0, []]);
  });

  const troubles: readonly (readonly [
    string,
    Parameters<Awaited<ReturnType<typeof startScriptedUpstream>>['fault']>[1],
  ])[] = [
    ['404', { status: 404 }],
    ['401', { status: 401 }],
    ['403', { status: 403 }],
    ['429', { status: 429 }],
    ['500', { status: 500 }],
    ['a broken connection', { reset: true }],
    ['400', { status: 400 }],
  ];
  for (const [why, fault] of troubles) {
    test(`${why} leads to the next, for a manifest and for a blob`, async () => {
      await using hot = await startScriptedUpstream();
      await using cold = await startScriptedUpstream({ personality: 'dockerHub' });
      cold.add(image, app.repository, ['latest']);
      hot.add(image, app.repository, ['latest']);
      hot.fault({}, fault);
      await using upstreams = connectUpstreams({ url: hot.url, name: 'hot' }, { url: cold.url, name: 'cold' });
      const blob = await upstreams.openBlob(app, layer.digest);
      await readAll(blob.body);
      const answers = [
        blob,
        await upstreams.headManifest(app, latest),
        await upstreams.getManifest(app, latest),
        await upstreams.headBlob(app, layer.digest),
      ];
      assert.deepEqual(
        answers.map(({ upstream }) => upstream),
        Array(4).fill('cold'),
      );
      assert.deepEqual(upstreams.failovers, Array(4).fill('hot → cold'));
    });
  }

  test('a copy that is wrong leads to the next', async () => {
    await using hot = await startScriptedUpstream();
    await using cold = await startScriptedUpstream();
    for (const each of [hot, cold]) each.add(image, app.repository, ['latest']);
    hot.fault({ kind: 'manifest' }, { flipAt: 3 });
    await using upstreams = connectUpstreams({ url: hot.url, name: 'hot' }, { url: cold.url, name: 'cold' });
    const manifest = await upstreams.getManifest(app, byDigest);
    assert.deepEqual([manifest.upstream, manifest.bytes.equals(image.index.bytes)], ['cold', true]);
  });

  test('none has it: not found; one could not be asked: not known', async () => {
    await using hot = await startScriptedUpstream();
    await using cold = await startScriptedUpstream();
    await using upstreams = connectUpstreams({ url: hot.url, name: 'hot' }, { url: cold.url, name: 'cold' });
    await assert.rejects(upstreams.getManifest(app, latest), failsAs('not-found'));
    hot.fault({}, { status: 429, headers: { 'retry-after': '17' }, body: 'Too Many Requests (HAP429)' });
    await assert.rejects(upstreams.getManifest(app, latest), (error) => {
      failsAs('throttled', 'hot')(error);
      return (error as UpstreamError).retryAfter === 17;
    });
  });

  test('the last one is asked again where its connection broke', async () => {
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository, ['latest']);
    registry.fault({}, { status: 502, times: 1 });
    await using upstreams = connectUpstreams({ url: registry.url });
    assert.equal((await upstreams.getManifest(app, latest)).digest, image.index.digest);
  });

  test('who may not say where a tag points is asked for digests alone', async () => {
    await using copy = await startScriptedUpstream();
    await using home = await startScriptedUpstream();
    for (const each of [copy, home]) each.add(image, app.repository, ['latest']);
    await using upstreams = connectUpstreams(
      { url: copy.url, name: 'copy', capabilities: ['pull'] },
      { url: home.url, name: 'home' },
    );
    const asked = [
      await upstreams.headManifest(app, latest),
      await upstreams.getManifest(app, latest),
      await upstreams.list(app, { kind: 'tags' }),
      await upstreams.getManifest(app, byDigest),
      await upstreams.headBlob(app, layer.digest),
    ];
    assert.deepEqual(
      asked.map(({ upstream }) => upstream),
      ['home', 'home', 'home', 'copy', 'copy'],
    );
  });

  test('what is no repository name is not found, without a request', async () => {
    await using registry = await startScriptedUpstream();
    await using upstreams = connectUpstreams({ url: registry.url });
    for (const repository of ['../a', 'a/../b', 'A', 'a?b', 'a//b']) {
      await assert.rejects(upstreams.getManifest({ registry: 'docker.io', repository }, latest), failsAs('not-found'));
    }
    assert.equal(registry.count(), 0);
  });

  test('an abort ends a question at once, with its reason', async () => {
    await using registry = await startScriptedUpstream();
    registry.add(image, app.repository, ['latest']);
    const gate = registry.hold({ kind: 'manifest' });
    await using upstreams = connectUpstreams({ url: registry.url });
    const controller = new AbortController();
    const reason = new Error('the client left');
    const asked = upstreams.getManifest(app, latest, { signal: controller.signal });
    await gate.arrived(1);
    controller.abort(reason);
    await assert.rejects(asked, reason);
    await assert.rejects(upstreams.getManifest(app, latest, { signal: controller.signal }), reason);
  });
});

describe('locateBlob', () => {
  test('an upstream without a login: its own blob URL, which works', async () => {
    for (const personality of ['plain', 'k8s'] as const) {
      await using registry = await startScriptedUpstream({ personality });
      registry.add(image, app.repository);
      await using upstreams = connectUpstreams({ url: registry.url });
      const location = await upstreams.locateBlob(app, layer.digest);
      assert.equal(location?.url, `${registry.url}/v2/library/app/blobs/${layer.digest}`);
      const bytes = Buffer.from(await (await fetch(location.url)).arrayBuffer());
      assert.equal(digestOf(bytes), layer.digest);
    }
  });

  test('one that asks for a token: the URL it signs for GET, fresh each time, without any credential', async () => {
    for (const personality of ['dockerHub', 'ecr'] as const) {
      await using registry = await startScriptedUpstream({ personality, credentials, anonymous: false });
      registry.add(image, app.repository);
      await using upstreams = connectUpstreams({ url: registry.url, credentials });
      const first = await upstreams.locateBlob(app, layer.digest);
      const second = await upstreams.locateBlob(app, layer.digest);
      assert.ok(first !== undefined && second !== undefined);
      assert.notEqual(first.url, second.url);
      assert.equal(first.visibility, 'private');
      const bytes = Buffer.from(await (await fetch(first.url)).arrayBuffer());
      assert.equal(digestOf(bytes), layer.digest);
      assert.equal(registry.count({ at: 'cdn' }), 1, 'it is not followed by us');
      assert.doesNotMatch(JSON.stringify(upstreams.events), /Signature/);
      assert.deepEqual(registry.leaks(), []);
    }
  });

  test('one that sends the bytes itself for our credential alone: nowhere', async () => {
    const personality = { ...SCRIPTED.dockerHub, blobs: 'here' } as const;
    await using registry = await startScriptedUpstream({ personality, credentials, anonymous: false });
    registry.add(image, app.repository);
    await using upstreams = connectUpstreams({ url: registry.url, credentials });
    assert.equal(await upstreams.locateBlob(app, layer.digest), undefined);
  });

  test('one that redirects within itself for our credential alone: nowhere', async () => {
    const basic = `Basic ${Buffer.from('someone:canary-password').toString('base64')}`;
    await using server = await serve((request, response) => {
      const known = request.headers.authorization === basic;
      const headers = known ? { location: '/storage/blob' } : { 'www-authenticate': 'Basic realm="x"' };
      response.writeHead(known ? 307 : 401, headers).end();
    });
    await using upstreams = connectUpstreams({ url: server.url, credentials });
    assert.equal(await upstreams.locateBlob(app, layer.digest), undefined);
  });

  test('the next one, where the first has it not; a failure where none has it', async () => {
    await using hot = await startScriptedUpstream({ personality: 'dockerHub' });
    await using cold = await startScriptedUpstream();
    cold.add(image, app.repository);
    await using upstreams = connectUpstreams({ url: hot.url }, { url: cold.url, name: 'cold' });
    assert.equal((await upstreams.locateBlob(app, layer.digest))?.upstream, 'cold');
    await assert.rejects(upstreams.locateBlob(app, image.index.digest), failsAs('not-found'));
  });

  test('a redirect that policy forbids is not passed on', async () => {
    await using registry = await startScriptedUpstream({ personality: 'dockerHub' });
    registry.add(image, app.repository);
    await using upstreams = connectUpstreams({
      url: registry.url.replace('127.0.0.1', 'localhost'),
      redirectHosts: [],
      tokenRealms: ['127.0.0.1'],
    });
    await assert.rejects(upstreams.locateBlob(app, layer.digest), failsAs('invalid'));
  });
});

describe('the upstreams of a blob', () => {
  /** Two that have the layer, in order. */
  async function two() {
    const [hot, cold] = [await startScriptedUpstream(), await startScriptedUpstream()];
    for (const each of [hot, cold]) each.add(image, app.repository);
    const upstreams = connectUpstreams({ url: hot.url, name: 'hot' }, { url: cold.url, name: 'cold' });
    const open = async (options: OpenBlobOptions) => {
      const { body, upstream } = await upstreams.openBlob(app, layer.digest, options);
      body.cancel();
      return upstream;
    };
    return {
      hot,
      cold,
      upstreams,
      open,
      [Symbol.asyncDispose]: async () => {
        await upstreams[Symbol.asyncDispose]();
        await Promise.all([hot.stop(), cold.stop()]);
      },
    };
  }

  test('are asked in their order, or the preferred one first', async () => {
    await using world = await two();
    assert.deepEqual(world.upstreams.upstreamsOf(layer.digest), ['hot', 'cold']);
    assert.equal(await world.open({}), 'hot');
    assert.equal(await world.open({ prefer: 'cold' }), 'cold');
    assert.equal(await world.open({ prefer: 'none' }), 'hot');
    world.cold.fault(layer.digest, { status: 404, times: 1 });
    assert.equal(await world.open({ prefer: 'cold' }), 'hot');
  });

  test('are not asked besides the only one', async () => {
    await using world = await two();
    assert.equal(await world.open({ only: 'cold' }), 'cold');
    world.cold.fault(layer.digest, { status: 404, times: 1 });
    await assert.rejects(world.open({ only: 'cold' }), failsAs('not-found', 'cold'));
    await assert.rejects(world.open({ only: 'none' }), failsAs('not-found'));
    assert.equal(world.hot.blobBodies(layer.digest).length, 0);
  });

  test('are without one that is down, and without one that gave it wrongly', async () => {
    await using world = await two();
    world.cold.fault(layer.digest, { status: 429, times: 1 });
    await assert.rejects(world.open({ only: 'cold' }), failsAs('throttled', 'cold'));
    assert.deepEqual(world.upstreams.upstreamsOf(layer.digest), ['hot']);
    const blob = await world.upstreams.openBlob(app, layer.digest);
    blob.body.cancel();
    blob.giveUp?.();
    assert.deepEqual(world.upstreams.upstreamsOf(layer.digest), []);
    assert.deepEqual(world.upstreams.upstreamsOf(image.index.digest), ['hot']);
  });
});
