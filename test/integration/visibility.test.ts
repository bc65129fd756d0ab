import assert from 'node:assert/strict';
import { writeFile } from 'node:fs/promises';
import { connect } from 'node:net';
import { after, before, describe, type TestContext, test } from 'node:test';
import { buildImage, type Content, platformOf } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { Workspace } from '../support/processes.ts';
import { PERSONALITIES, type PersonalityName } from '../support/scripted/personality.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// What only a credential of this server can read stays private, with access rules and without them.

const image = buildImage({ seed: 'visibility' });
const other = buildImage({ seed: 'visibility, another' });
const layer = platformOf(image, 'amd64').layers[1] as Content;
const CREDENTIALS = { username: 'server', password: 'canary-password' };
const OPEN = 'acme/open';
const CLOSED = 'acme/closed';

/** Everything of a repository that a client can read. */
function pathsOf(repository: string, reference = 'latest'): readonly string[] {
  return [
    `/v2/hub/${repository}/manifests/${reference}`,
    `/v2/hub/${repository}/manifests/${image.index.digest}`,
    `/v2/hub/${repository}/blobs/${layer.digest}`,
    `/v2/hub/${repository}/tags/list`,
    `/v2/hub/${repository}/referrers/${image.index.digest}`,
  ];
}

let workspace: Workspace;
let upstream: ScriptedUpstream;
let htpasswd: string;

before(async () => {
  workspace = await Workspace.open();
  htpasswd = workspace.path('htpasswd');
  await writeFile(htpasswd, htpasswdOf('alice', 'bob'));
});
after(() => workspace.close());

async function startUpstream(personality: PersonalityName = 'dockerHub'): Promise<ScriptedUpstream> {
  const started = await startScriptedUpstream({
    personality: { ...PERSONALITIES[personality], catalog: true },
    credentials: CREDENTIALS,
    anonymous: true,
  });
  started.add(image, OPEN, ['latest']);
  started.add(image, CLOSED, ['latest']);
  started.setVisibility(CLOSED, 'refused');
  return started;
}

const registries = ({ url, realm }: Pick<ScriptedUpstream, 'url' | 'realm'>) => ({
  hub: { upstreams: [{ url, credentials: CREDENTIALS, token_realms: [new URL(realm).host] }] },
});

const RULES = [
  { who: 'anonymous', may: ['pull', 'catalog'], on: ['**'] },
  { who: 'alice', may: ['pull', 'catalog'], on: ['hub/acme/closed'] },
];

describe('with rules, an anonymous one for everything', () => {
  for (const personality of ['dockerHub', 'ghcr', 'quay'] as const) {
    for (const hidden of ['refused', 'absent'] as const) {
      describe(`${personality}, where a private repository is ${hidden}`, () => {
        let mirror: Mirror;
        before(async () => {
          upstream = await startUpstream(personality);
          upstream.setVisibility(CLOSED, hidden);
          mirror = await startMirror({ registries: registries(upstream), access: { htpasswd, rules: RULES } });
        });
        after(async () => {
          await mirror.stop();
          assert.deepEqual(upstream.leaks(), []);
          await upstream.stop();
        });

        test('every client reads the public repository', async () => {
          for (const path of pathsOf(OPEN)) assert.equal((await mirror.get(path)).status, 200, path);
        });

        test('the private one is for its user, also once it is cached, and for no other client', async () => {
          for (const warm of [false, true]) {
            for (const path of pathsOf(CLOSED)) {
              for (const method of ['get', 'head'] as const) {
                assert.equal((await mirror[method](path)).status, 401, `${method} ${path}`);
                assert.equal((await mirror[method](path, basic('bob'))).status, 403, `${method} ${path}`);
              }
              assert.equal((await mirror.get(path, { range: 'bytes=0-0' })).status, 401, path);
            }
            if (warm) break;
            for (const path of pathsOf(CLOSED))
              assert.equal((await mirror.get(path, basic('alice'))).status, 200, path);
          }
        });

        test('a private repository and one that does not exist are refused alike', async () => {
          const bodyOf = async (name: string): Promise<string> => {
            const { status, body } = await mirror.get(`/v2/hub/${name}/manifests/latest`, basic('bob'));
            assert.equal(status, 403);
            return body.toString().replaceAll(name, 'NAME');
          };
          assert.equal(await bodyOf(CLOSED), await bodyOf('acme/missing'));
        });

        test('the catalogue names the private repository to its user alone', async () => {
          const named = async (headers?: Record<string, string>): Promise<readonly string[]> => {
            const { body } = await mirror.get('/v2/hub/_catalog', headers);
            return (JSON.parse(body.toString()) as { repositories: string[] }).repositories;
          };
          assert.deepEqual(await named(), [OPEN]);
          assert.deepEqual(await named(basic('alice')), [CLOSED, OPEN]);
          assert.deepEqual(await named(basic('bob')), [OPEN]);
        });
      });
    }
  }
});

describe('while time goes on', () => {
  let mirror: Mirror;
  const start = async (t: TestContext, more: () => Record<string, unknown> = () => ({})): Promise<void> => {
    const cache = { tags: { fresh_for: '0s' } };
    upstream = await startUpstream();
    t.after(() => upstream.stop());
    const started = await startMirror({
      registries: registries(upstream),
      cache,
      access: { htpasswd, rules: RULES.slice(0, 1) },
      ...more(),
    });
    t.after(() => started.stop());
    mirror = started;
  };
  const manifest = (name: string) => mirror.get(`/v2/hub/${name}/manifests/latest`);

  test('a repository that is closed upstream is closed here, and one that is opened is open', async (t) => {
    await start(t);
    assert.equal((await manifest(OPEN)).status, 200);
    assert.equal((await manifest(CLOSED)).status, 401);
    upstream.setVisibility(OPEN, 'refused');
    upstream.setVisibility(CLOSED, 'public');
    assert.equal((await manifest(OPEN)).status, 401);
    const byDigest = await mirror.get(`/v2/hub/${OPEN}/manifests/${image.index.digest}`);
    assert.equal(byDigest.status, 401);
    assert.equal((await manifest(CLOSED)).status, 200);
    await mirror.logged(({ msg }) => msg === 'a repository is no longer public');
  });

  test('what is known to be public is served while the upstream is down; what is not known fails for now', async (t) => {
    await start(t);
    for (const path of pathsOf(OPEN).slice(0, 3)) assert.equal((await mirror.get(path)).status, 200);
    upstream.fault({}, { status: 503 });
    for (const path of pathsOf(OPEN).slice(0, 3)) assert.equal((await mirror.get(path)).status, 200, path);
    assert.equal((await manifest('acme/unknown')).status, 503);
  });

  test('the probe is anonymous, asks with HEAD, and once for many clients', async (t) => {
    await start(t, () => ({ cache: {} }));
    await Promise.all(Array.from({ length: 10 }, () => manifest(OPEN)));
    const heads = upstream.requests.filter(({ kind, method }) => kind === 'manifest' && method === 'HEAD');
    assert.equal(heads.filter(({ status }) => status === 200).length, 1, upstream.journal());
    const gets = upstream.requests.filter(
      ({ kind, method, status }) => kind === 'manifest' && method === 'GET' && status === 200,
    );
    assert.equal(gets.length, 1, upstream.journal());
  });

  for (const status of [200, 401, 429, 500]) {
    test(`clients that leave while an upstream decides cost one question, and the next client is served (${status})`, async (t) => {
      await start(t, () => ({ cache: {} }));
      const gate = upstream.hold({ kind: 'manifest', method: 'HEAD' });
      const sockets = Array.from({ length: 50 }, () => {
        const { hostname, port } = new URL(mirror.url);
        const socket = connect(Number(port), hostname);
        socket.on('error', () => {});
        socket.write(`GET /v2/hub/${OPEN}/manifests/latest HTTP/1.1\r\nHost: ${mirror.host}\r\n\r\n`);
        return socket;
      });
      await gate.arrived();
      for (const socket of sockets) socket.destroy();
      if (status !== 200) upstream.fault({ kind: 'manifest', method: 'HEAD' }, { status, times: 1 });
      gate.open();
      const { status: next } = await manifest(OPEN);
      assert.ok(next === 200 || (status !== 200 && next === (status === 500 ? 503 : status)), `${next}`);
      const heads = upstream.count({ kind: 'manifest', method: 'HEAD' });
      assert.ok(heads <= 4, upstream.journal());
    });
  }

  test('private: true opens what the credential reads to every client, without a probe', async (t) => {
    await start(t, () => ({ access: { rules: [{ ...RULES[0], private: true }] } }));
    for (const path of pathsOf(CLOSED)) assert.equal((await mirror.get(path)).status, 200, path);
    assert.equal(upstream.count({ kind: 'manifest', method: 'HEAD', reference: 'latest' }), 0, upstream.journal());
  });

  test('an upstream without a credential is never probed', async (t) => {
    await start(t, () => ({
      registries: { hub: { upstreams: [{ url: upstream.url, token_realms: [new URL(upstream.realm).host] }] } },
    }));
    assert.equal((await manifest(OPEN)).status, 200);
    assert.equal((await manifest(CLOSED)).status, 404);
    assert.equal(upstream.count({ kind: 'manifest', method: 'HEAD', reference: 'latest' }), 0, upstream.journal());
  });

  test('where no user can log in, no client is challenged: Docker pulls what is open', async (t) => {
    await start(t, () => ({ access: { rules: RULES.slice(0, 1) } }));
    assert.equal((await mirror.get('/v2/')).status, 200);
    assert.equal((await manifest(OPEN)).status, 200);
    const { status, headers } = await manifest(CLOSED);
    assert.deepEqual([status, headers['www-authenticate']], [403, undefined]);
  });

  test('a redirect to the storage is for what every client may pull; to a user alone it is streamed', async (t) => {
    const rules = [RULES[0], { who: 'alice', may: ['pull'], on: ['hub/**'] }];
    await start(t, () => {
      const { hub } = registries(upstream);
      return { registries: { hub: { ...hub, delivery: 'redirect' } }, access: { htpasswd, rules } };
    });
    const blob = (name: string) => mirror.get(`/v2/hub/${name}/blobs/${layer.digest}`, basic('alice'));
    for (const name of [OPEN, CLOSED]) {
      const { status } = await mirror.get(`/v2/hub/${name}/manifests/latest`, basic('alice'));
      assert.equal(status, 200);
    }
    assert.equal((await blob(OPEN)).status, 307);
    const streamed = await blob(CLOSED);
    assert.deepEqual([streamed.status, streamed.headers['location']], [200, undefined]);
    assert.ok(streamed.body.equals(layer.bytes));
    await mirror.reload({
      registries: { hub: { ...registries(upstream).hub, delivery: 'redirect' } },
      access: { htpasswd, rules: [...rules, { ...RULES[0], private: true }] },
    });
    assert.equal((await blob(CLOSED)).status, 307);
  });

  test('after a reload to another upstream, the old answer holds no longer', async (t) => {
    await start(t, () => ({ cache: {} }));
    assert.equal((await manifest(OPEN)).status, 200);
    await using stricter = await startUpstream();
    stricter.setVisibility(OPEN, 'refused');
    stricter.add(other, OPEN, ['latest']);
    await mirror.reload({ registries: registries(stricter), access: { htpasswd, rules: RULES.slice(0, 1) } });
    assert.equal((await manifest(OPEN)).status, 401);
  });

  test('a mirror route with a credential is private as a whole', async (t) => {
    const on = ['mirror:own/**', 'mirror:plain/**'];
    const who = ['anonymous', 'alice'];
    await start(t, () => ({
      mirrors: [
        { name: 'own', prefix: '/own', upstream: upstream.url, credentials: CREDENTIALS },
        { name: 'plain', prefix: '/plain', upstream: upstream.url },
      ],
      access: { htpasswd, rules: [{ who, may: ['pull'], on }] },
    }));
    assert.equal((await mirror.get('/own/v2/')).status, 401);
    assert.notEqual((await mirror.get('/plain/v2/')).headers['www-authenticate'], 'Basic realm="entrepot"');
    assert.equal((await mirror.get('/own/v2/', basic('bob'))).status, 403);
    assert.notEqual((await mirror.get('/own/v2/', basic('alice'))).status, 403);
  });
});

describe('without rules', () => {
  test('other machines see what is public, and this one sees all', async () => {
    upstream = await startUpstream();
    for (const [listen, status] of [
      ['127.0.0.1:0', 200],
      ['0.0.0.0:0', 403],
    ] as const) {
      await using mirror = await startMirror({ listen, registries: registries(upstream) });
      for (const path of pathsOf(OPEN)) assert.equal((await mirror.get(path)).status, 200, path);
      for (const path of pathsOf(CLOSED)) assert.equal((await mirror.get(path)).status, status, path);
      const { body } = await mirror.get('/v2/hub/_catalog');
      const { repositories } = JSON.parse(body.toString()) as { repositories: string[] };
      assert.deepEqual(repositories, status === 200 ? [CLOSED, OPEN] : [OPEN]);
      if (status === 403) {
        const refused = await mirror.get(`/v2/hub/${CLOSED}/manifests/latest`);
        assert.match(refused.body.toString(), /hub\/acme\/closed is not public/);
      }
    }
    await upstream.stop();
  });
});
