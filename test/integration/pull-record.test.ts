import assert from 'node:assert/strict';
import { mkdtemp, rm, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { callControl, controlSocketPath, OPERATIONS } from '../../src/admin/index.ts';
import { buildImage } from '../support/image.ts';
import { basic, htpasswdOf } from '../support/logins.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { memoryDirectory } from '../support/temporary.ts';

function manifest(repository: string): string {
  return `/v2/${repository}/manifests/latest`;
}

describe('the record of pulls', () => {
  let upstream: ScriptedUpstream;
  let scratch: string;
  let htpasswd: string;

  before(async () => {
    scratch = await mkdtemp(join(memoryDirectory(), 'entrepot-record-'));
    upstream = await startScriptedUpstream();
    const image = buildImage({ layers: [100], architectures: ['amd64'] });
    for (const name of ['ours/app', 'secret/plan']) upstream.add(image, name, ['latest']);
    htpasswd = join(scratch, 'htpasswd');
    await writeFile(htpasswd, htpasswdOf('alice', 'bob'));
  });
  after(async () => {
    await upstream.stop();
    await rm(scratch, { recursive: true, force: true });
  });

  function configOf(over: Readonly<Record<string, unknown>> = {}): Readonly<Record<string, unknown>> {
    return { default_registry: 'hub', registries: { hub: { upstreams: [upstream.url] } }, ...over };
  }

  async function finished(mirror: Mirror, path: string, headers: Record<string, string>): Promise<number> {
    const before = mirror.accessLog().length;
    const { status } = await mirror.get(path, headers);
    await mirror.logged(({ msg, route }) => msg === 'request' && route === 'registry', { count: before + 1 });
    return status;
  }

  const pullsOf = async (mirror: Mirror, input = {}) =>
    callControl(controlSocketPath(mirror.dir), OPERATIONS.pulls, { input: { limit: 100, ...input } });

  test('names no repository that a client of the API may not pull from, and tells the operator all', async () => {
    const access = {
      htpasswd,
      rules: [
        { who: 'alice', may: ['pull'], on: ['hub/**'] },
        { who: 'bob', may: ['status'] },
        { who: 'bob', may: ['pull'], on: ['hub/ours/**'] },
      ],
    };
    await using mirror = await startMirror(configOf({ access }));
    assert.equal(await finished(mirror, manifest('secret/plan'), basic('alice')), 200);
    assert.equal(await finished(mirror, manifest('ours/app'), basic('bob')), 200);
    assert.equal(await finished(mirror, manifest('secret/plan'), basic('bob')), 403);
    assert.equal(await finished(mirror, manifest('secret/plan'), {}), 401);
    const { pulls } = await pullsOf(mirror);
    assert.deepEqual(
      pulls.map(({ repository, user, outcome }) => [repository, user, outcome].join(' ')),
      ['secret/plan bob refused', 'ours/app bob miss', 'secret/plan alice miss'],
    );
    for (const path of ['pulls', 'figures', 'overview']) {
      const { status, body } = await mirror.get(`/api/v1/${path}`, { ...basic('bob'), accept: 'application/json' });
      assert.equal(status, 200, path);
      assert.doesNotMatch(body.toString(), /secret/, path);
    }
    const { body } = await mirror.get('/api/v1/figures', basic('bob'));
    const { total } = JSON.parse(body.toString()) as { total: { requests: number } };
    assert.equal(total.requests, 1);
  });

  test('is off where the configuration says so, from a reload on', async () => {
    await using mirror = await startMirror(configOf({ admin: { record_pulls: false } }));
    assert.equal(await finished(mirror, manifest('ours/app'), {}), 200);
    assert.deepEqual((await pullsOf(mirror)).pulls, []);
    await assert.rejects(stat(join(mirror.dir, 'pulls.db')), { code: 'ENOENT' });
    assert.deepEqual((await mirror.reload(configOf())).changed, ['admin.record_pulls']);
    assert.equal(await finished(mirror, manifest('ours/app'), { 'user-agent': 'later/1' }), 200);
    assert.deepEqual(
      (await pullsOf(mirror)).pulls.map(({ userAgent }) => userAgent),
      ['later/1'],
    );
    assert.equal((await stat(join(mirror.dir, 'pulls.db'))).mode & 0o777, 0o600);
  });

  test('refuses a place in the list that it has not given', async () => {
    await using mirror = await startMirror(configOf());
    for (const after of ['', 'x', 'ended.1', 'ended.1.a b', 'ended.99999999999999999.a', "running.1.'"]) {
      await assert.rejects(pullsOf(mirror, { after }), /expected the `next` of an earlier answer/, after);
    }
  });

  test('costs neither a start nor a pull where its file is damaged', async () => {
    const dir = join(scratch, 'damaged');
    const first = await startMirror(configOf(), { dir });
    await first.stop();
    await writeFile(join(dir, 'pulls.db'), 'no database'.repeat(1000));
    await using second = await startMirror(configOf(), { dir });
    await second.logged(({ level, msg }) => level === 'warn' && msg.startsWith('The record of pulls in '));
    assert.equal(await finished(second, manifest('ours/app'), {}), 200);
    assert.equal((await pullsOf(second)).pulls.length, 1);
  });
});
