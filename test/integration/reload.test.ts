import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildImage } from '../support/image.ts';
import { startMirror } from '../support/mirror.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';

// Another configuration while the server runs: taken up whole or not at all, and felt by nobody whom it does not concern.

const REPOSITORY = 'team/app';
const image = buildImage({ seed: 'reload' });
const LATEST = `${REPOSITORY}/manifests/latest`;

describe('a reload', () => {
  test('makes a new registry known at once, and an old one unknown', async () => {
    await using upstream = await startScriptedUpstream({});
    upstream.add(image, REPOSITORY, ['latest']);
    await using mirror = await startMirror({ registries: { one: { upstreams: [upstream.url] } } });
    assert.equal((await mirror.get(`/v2/one/${LATEST}`)).status, 200);
    assert.equal((await mirror.get(`/two/v2/${LATEST}`)).status, 404);

    const answer = await mirror.reload({ registries: { two: { upstreams: [upstream.url] } } });
    assert.equal(answer.outcome, 'changed');
    assert.deepEqual(answer.registries, { added: ['two'], removed: ['one'], changed: [] });
    assert.equal((await mirror.get(`/two/v2/${LATEST}`)).status, 200);
    assert.equal((await mirror.get(`/one/v2/${LATEST}`)).status, 404);
    assert.deepEqual(
      [...(await mirror.app.status()).upstreams!].map(({ registry }) => registry),
      ['two'],
    );
  });

  test('changes nothing where the configuration is wrong, and says where', async () => {
    await using upstream = await startScriptedUpstream({});
    upstream.add(image, REPOSITORY, ['latest']);
    const registries = { one: { upstreams: [upstream.url] } };
    await using mirror = await startMirror({ registries });
    const answer = await mirror.reload({
      registries: { two: { upstreams: [upstream.url] } },
      timeouts: { idle_timeout: 'soon' },
    });
    assert.equal(answer.outcome, 'refused');
    assert.match(answer.problems.join('\n'), /^ENTREPOT_CONFIG:1:\d+ {2}timeouts\.idle_timeout: found "soon"/m);
    assert.equal((await mirror.get(`/one/v2/${LATEST}`)).status, 200);
    assert.equal((await mirror.get(`/two/v2/${LATEST}`)).status, 404);
    await mirror.logged(({ level, msg }) => level === 'error' && msg === 'config.reloaded');
  });

  test('names what takes a restart, and takes up the rest', async () => {
    await using mirror = await startMirror({});
    const next = { listen: '127.0.0.1:1', cache: { max_size: '5GB', dir: '/nowhere' }, log: { access: false } };
    const answer = await mirror.reload(next);
    assert.deepEqual(answer.changed, ['cache.max_size', 'log.access']);
    assert.deepEqual(answer.restart, ['cache.dir', 'listen']);
    const { cache } = await mirror.app.status();
    assert.ok(cache !== 'off' && cache.maxSize === 5_000_000_000 && cache.dir === mirror.dir);
    assert.deepEqual((await mirror.reload(next)).changed, []);
  });
});
