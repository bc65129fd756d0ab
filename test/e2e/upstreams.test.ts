import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { type AccessLine, startEntrepot } from '../support/app.ts';
import { type DockerRegistry, inDirectory, skopeoPull, startDockerRegistry, startNginx } from '../support/engines.ts';
import { buildImage, type TestImage } from '../support/image.ts';
import { freePort, needs, run, Workspace } from '../support/processes.ts';
import { eventually } from '../support/pull-stage.ts';

describe('upstreams of a registry', needs('skopeo', 'docker-registry', 'nginx'), () => {
  const image = buildImage({ seed: 'cold only' });
  let workspace: Workspace;
  let hot: DockerRegistry;
  let cold: DockerRegistry;
  before(async () => {
    workspace = await Workspace.open();
    hot = await startDockerRegistry(workspace);
    cold = await startDockerRegistry(workspace);
    await cold.push(image, 'team/app:latest');
  });
  after(() => workspace.close());

  test('hot, then cold: what the first does not have comes from the second, and the log says so', async () => {
    const upstreams = [
      { url: hot.url, name: 'hot' },
      { url: cold.url, name: 'cold' },
    ];
    const entrepot = await startEntrepot(workspace, { registries: { apps: { upstreams } } });
    const name = `${entrepot.host}/apps/team/app:latest`;
    await assertCopied(await skopeoPull(workspace, { name, into: 'hot-and-cold' }), image);
    await eventually(() => {
      const blobs = entrepot.accessLog().filter((line) => isBlobGet(line));
      assert.equal(blobs.length, image.blobs.length);
      for (const line of blobs) assert.equal(line.upstream, 'cold', JSON.stringify(line));
    });
    assert.ok(hot.requests().some(({ path, status }) => path.includes('/manifests/latest') && status === 404));
  });

  test('hot is down: cold answers', async () => {
    const upstreams = [`http://127.0.0.1:${await freePort()}`, cold.url];
    const entrepot = await startEntrepot(workspace, { registries: { apps: { upstreams } } });
    const name = `${entrepot.host}/apps/team/app:latest`;
    await assertCopied(await skopeoPull(workspace, { name, into: 'hot-is-down' }), image);
  });

  test('delivery: redirect sends the client to the backend for blobs, and for nothing else', async () => {
    const entrepot = await startEntrepot(workspace, {
      registries: { apps: { upstreams: [hot.url, cold.url], delivery: 'redirect' } },
    });
    const name = `${entrepot.host}/apps/team/app:latest`;
    await assertCopied(await skopeoPull(workspace, { name, into: 'redirected' }), image);
    await eventually(() => {
      const blobs = entrepot.accessLog().filter((line) => isBlobGet(line));
      assert.deepEqual([...new Set(blobs.map((line) => line.status))], [307]);
      const manifests = entrepot.accessLog().filter((line) => line.path.includes('/manifests/'));
      assert.deepEqual([...new Set(manifests.map((line) => line.status))], [200]);
    });
  });

  describe('behind Basic authentication', () => {
    const password = 'a canary, not a secret';
    let guarded: string;
    before(async () => {
      const port = await freePort();
      const users = await workspace.file('users', `robot:{PLAIN}${password}\n`);
      await startNginx(workspace, {
        port,
        http: `server {
          listen 127.0.0.1:${port};
          auth_basic "the registry"; auth_basic_user_file ${users};
          location / { proxy_pass ${cold.url}; proxy_set_header Host $http_host; }
        }`,
      });
      guarded = `http://127.0.0.1:${port}`;
    });

    test('the server has the password, its clients need none', async () => {
      const file = await workspace.file('password', `${password}\n`);
      const credentials = { username: 'robot', password: { file } };
      const entrepot = await startEntrepot(workspace, {
        registries: { private: { upstreams: [{ url: guarded, credentials }] } },
      });
      const name = `${entrepot.host}/private/team/app:latest`;
      await assertCopied(await skopeoPull(workspace, { name, into: 'private' }), image);
      assertSilent(entrepot.process.output(), password);
    });

    test('a wrong password is an error, and is in no log', async () => {
      const wrong = 'another canary';
      const credentials = { username: 'robot', password: wrong };
      const entrepot = await startEntrepot(workspace, {
        registries: { private: { upstreams: [{ url: guarded, credentials }] } },
      });
      const name = `docker://${entrepot.host}/private/team/app:latest`;
      const { code, stderr } = await run(['skopeo', 'inspect', '--raw', '--tls-verify=false', name]);
      assert.notEqual(code, 0);
      for (const text of [entrepot.process.output(), stderr]) assertSilent(text, wrong);
    });
  });
});

function isBlobGet(line: AccessLine): boolean {
  return line.method === 'GET' && line.path.includes('/blobs/');
}

function assertSilent(text: string, password: string): void {
  for (const form of [password, Buffer.from(`robot:${password}`).toString('base64'), encodeURIComponent(password)]) {
    assert.ok(!text.includes(form), `a password is in:\n${text}`);
  }
}

async function assertCopied(directory: string, { index, blobs }: TestImage): Promise<void> {
  assert.ok((await readFile(`${directory}/manifest.json`)).equals(index.bytes));
  for (const { digest, bytes } of blobs) {
    assert.ok((await readFile(inDirectory(directory, digest).blob)).equals(bytes), digest);
  }
}
