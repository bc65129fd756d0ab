import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import { cp, rm } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { bundle } from '../../scripts/bundle.ts';
import { content } from '../support/image.ts';
import { check, Workspace } from '../support/processes.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const REPOSITORY = 'team/app';

describe('a server whose files are replaced while it runs', () => {
  test('goes on with what it has: it pulls, tells its metrics, shows its help, reloads, opens a mirror route, and takes other rules and its first token', async (t) => {
    const upstream = await startScriptedUpstream();
    t.after(() => upstream.stop());
    const blob = content('application/octet-stream', randomBytes(100_000));
    upstream.addBlob(REPOSITORY, blob);
    await using workspace = await Workspace.open();
    await bundle(workspace.path('lib'));
    await cp(`${root}package.json`, workspace.path('package.json'));
    const config = {
      listen: '127.0.0.1:0',
      cache: { dir: workspace.path('cache') },
      log: { level: 'debug', format: 'json' },
      registries: { up: { upstreams: [upstream.url] } },
      access: { rules: [{ who: 'anonymous', may: ['pull', 'status'], on: ['**', 'mirror:*/**'] }] },
    };
    const file = await workspace.file('entrepot.yaml', JSON.stringify(config));
    const server = await workspace.start([process.execPath, workspace.path('lib', 'main.js'), 'serve', '-c', file], {
      env: { ...process.env, HOME: workspace.dir },
      ready: ({ lines }) => lines().some((line) => line.includes('"everything is loaded"')),
    });
    const { address } = JSON.parse(server.lines().find((line) => line.includes('"listening"')) ?? '{}') as {
      address: string;
    };

    await rm(workspace.path('lib'), { recursive: true });

    const pulled = await fetch(`http://${address}/up/v2/${REPOSITORY}/blobs/${blob.digest}`);
    assert.equal(pulled.status, 200);
    assert.ok(Buffer.from(await pulled.arrayBuffer()).equals(blob.bytes));
    assert.match(await (await fetch(`http://${address}/metrics`)).text(), /^entrepot_http_requests_total/m);
    const help = await fetch(`http://${address}/help?lang=zh`, { headers: { accept: 'text/html' } });
    assert.match(await help.text(), /<html lang="zh-CN">/);
    const mirrors = [{ name: 'site', prefix: '/site', upstream: upstream.url }];
    await workspace.file('entrepot.yaml', JSON.stringify({ ...config, mirrors }));
    await check(['sh', `${root}bin/entrepot`, 'reload', '-c', file]);
    const routed = await fetch(`http://${address}/site/v2/${REPOSITORY}/blobs/${blob.digest}`);
    assert.ok(Buffer.from(await routed.arrayBuffer()).equals(blob.bytes));

    const entrepot = ['sh', `${root}bin/entrepot`];
    const rules = [{ who: 'token:ci', may: ['pull'], on: ['up/**'] }];
    await workspace.file('entrepot.yaml', JSON.stringify({ ...config, access: { rules } }));
    await check([...entrepot, 'reload', '-c', file]);
    const token = (await check([...entrepot, 'tokens', 'create', 'ci', '-c', file])).trim();
    const guarded = `http://${address}/up/v2/${REPOSITORY}/blobs/${blob.digest}`;
    assert.equal((await fetch(guarded)).status, 401);
    const allowed = await fetch(guarded, { headers: { authorization: `Bearer ${token}` } });
    assert.equal(allowed.status, 200);
    assert.ok(Buffer.from(await allowed.arrayBuffer()).equals(blob.bytes));
    assert.equal(await server.stop(), 0);
    assert.deepEqual(
      server.lines().filter((line) => line.includes('ERR_MODULE_NOT_FOUND')),
      [],
    );
  });
});
