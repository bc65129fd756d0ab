import assert from 'node:assert/strict';
import { cp, readFile, rm } from 'node:fs/promises';
import { basename } from 'node:path';
import { backup, DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { type DockerRegistry, inDirectory, skopeoPull, startDockerRegistry } from '../support/engines.ts';
import { buildImage, type TestImage } from '../support/image.ts';
import { check, freePort, needs, run, Workspace } from '../support/processes.ts';
import { eventually } from '../support/pull-stage.ts';

/** What docs/backup.md leaves out of a copy that is made beside a running server. */
const LEFT_OUT = /^(?:names\.db.*|ingest|control\.sock)$/;

/** docs/backup.md and docs/isolated.md, carried out. */
describe('a cache directory that is copied', needs('skopeo', 'docker-registry'), () => {
  const early = buildImage({ seed: 'before the stop' });
  const late = buildImage({ seed: 'after the stop' });
  let workspace: Workspace;
  let registry: DockerRegistry;
  let serving: RunningEntrepot;
  let stoppedCopy: string;

  /** The server, on a directory, in front of the registry or of an address where none listens. */
  function start(dir: string, upstream = registry.url, config: object = {}): Promise<RunningEntrepot> {
    return startEntrepot(workspace, { registries: { apps: { upstreams: [upstream] } }, ...config }, { dir });
  }

  before(async () => {
    workspace = await Workspace.open();
    registry = await startDockerRegistry(workspace);
    await registry.push(early, 'team/early:1.0');
    await registry.push(late, 'team/late:1.0');
    const first = await start(workspace.path('cache'));
    await assertPulled(first, 'team/early:1.0', early);
    assert.equal(await first.stop(), 0);
    stoppedCopy = workspace.path('stopped');
    await check(['cp', '-a', workspace.path('cache'), stoppedCopy]);
    serving = await start(workspace.path('cache'));
    await assertPulled(serving, 'team/late:1.0', late);
  });
  after(() => workspace.close());

  /** Pulls every platform, and compares every byte. */
  async function assertPulled(entrepot: RunningEntrepot, name: string, image: TestImage): Promise<void> {
    const copy = await skopeoPull(workspace, { name: `${entrepot.host}/apps/${name}`, into: 'pulled' });
    assert.ok((await readFile(`${copy}/manifest.json`)).equals(image.index.bytes));
    for (const { digest, bytes } of image.blobs) {
      assert.ok((await readFile(inDirectory(copy, digest).blob)).equals(bytes), digest);
    }
  }

  /** Copies what docs/backup.md names, while the server writes. */
  async function copyBeside(name: string): Promise<string> {
    const to = workspace.path(name);
    await cp(serving.dir, to, {
      recursive: true,
      preserveTimestamps: true,
      filter: (file) => !LEFT_OUT.test(basename(file)),
    });
    return to;
  }

  /** How often the registry was asked for a body since then. */
  function fetched(kind: 'blobs' | 'manifests', since: number): number {
    const later = registry.requests().slice(since);
    return later.filter(({ method, path }) => method === 'GET' && path.includes(`/${kind}/`)).length;
  }

  test('made with the server stopped: nothing is fetched again, and no row is lost', async () => {
    const restored = await start(await copyOf(workspace, stoppedCopy, 'restored'));
    const since = registry.requests().length;
    await assertPulled(restored, 'team/early:1.0', early);
    assert.equal(fetched('blobs', since) + fetched('manifests', since), 0);
    assert.ok(!restored.logs().some(({ msg }) => msg === 'names.recovered'));
    await restored.stop();
  });

  test('made while it serves, with the backup of the database: no layer is fetched again', async () => {
    const restored = await start(await copyBeside('beside'));
    const since = registry.requests().length;
    await assertPulled(restored, 'team/early:1.0', early);
    assert.equal(fetched('blobs', since) + fetched('manifests', since), 0, 'the backup knows it');
    await assertPulled(restored, 'team/late:1.0', late);
    assert.equal(fetched('blobs', since), 0, 'only its tag and manifests were asked for again');
    assert.ok(restored.logs().some(({ msg }) => msg === 'names.recovered'));
    await restored.stop();
  });

  test('made while it serves, with the database as SQLite copies it: no row is lost', async () => {
    const dir = await copyBeside('sqlite');
    const database = new DatabaseSync(`${serving.dir}/names.db`, { readOnly: true });
    await backup(database, `${dir}/names.db`);
    database.close();
    const restored = await start(dir, `http://127.0.0.1:${await freePort()}`);
    await assertPulled(restored, 'team/late:1.0', late);
    await restored.stop();
  });

  test('of the blobs alone: tags are asked for again, layers are not', async () => {
    const dir = await copyOf(workspace, stoppedCopy, 'blobs-alone');
    for (const file of ['names.db', 'names.backup.db', 'clean-stop.json']) await rm(`${dir}/${file}`, { force: true });
    const restored = await start(dir);
    const since = registry.requests().length;
    await assertPulled(restored, 'team/early:1.0', early);
    assert.equal(fetched('blobs', since), 0);
    await restored.stop();
  });

  describe('carried to a site without a connection', () => {
    let isolated: RunningEntrepot;
    before(async () => {
      const dir = await copyOf(workspace, stoppedCopy, 'isolated');
      isolated = await start(dir, `http://127.0.0.1:${await freePort()}`, {
        cache: { dir, tags: { fresh_for: '3650d' } },
      });
    });

    test('what was pulled is served by tag and by digest, and nothing is marked as stale', async () => {
      await assertPulled(isolated, 'team/early:1.0', early);
      await assertPulled(isolated, `team/early@${early.index.digest}`, early);
      await eventually(() => {
        const outcomes = isolated.accessLog().map(({ cache }) => cache);
        assert.deepEqual([...new Set(outcomes.filter((outcome) => outcome !== undefined))], ['HIT']);
      });
    });

    test('what was not is an error that names the upstream', async () => {
      const name = `docker://${isolated.host}/apps/team/late:1.0`;
      const { code, stderr } = await run(['skopeo', 'inspect', '--raw', '--retry-times=0', '--tls-verify=false', name]);
      assert.notEqual(code, 0);
      assert.match(stderr, /127\.0\.0\.1|unavailable|unreachable|ECONNREFUSED/i);
    });

    test('the commands of the page say what they found', async () => {
      const scrub = await run(['sh', 'bin/entrepot', 'scrub', '--cache-dir', isolated.dir]);
      assert.equal(scrub.code, 0, scrub.stdout + scrub.stderr);
      const status = await check(['sh', 'bin/entrepot', 'status', '--cache-dir', isolated.dir]);
      assert.match(status, /blobs/);
    });
  });
});

async function copyOf(workspace: Workspace, from: string, name: string): Promise<string> {
  const to = workspace.path(name);
  await check(['cp', '-a', from, to]);
  return to;
}
