import assert from 'node:assert/strict';
import { readFile } from 'node:fs/promises';
import { dirname } from 'node:path';
import { before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import bcrypt from 'bcryptjs';
import { check, run, Workspace } from '../support/processes.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

describe('the published package', () => {
  before(() => check(['sh', `${root}bin/pinned-node`, `${root}scripts/package.ts`]));

  test('runs where it is installed, and brings no node into its user’s scripts', async () => {
    await using workspace = await Workspace.open();
    await workspace.file('package.json', '{"name":"user","private":true}');
    // The tarball lies in the user's own folder, as if the registry had sent it.
    const prefix = ['--prefix', workspace.dir];
    await check(['npm', 'pack', `${root}dist`, '--pack-destination', workspace.dir]);
    const { version } = JSON.parse(await readFile(`${root}package.json`, 'utf8')) as { version: string };
    await check(['npm', 'install', ...prefix, '--prefer-offline', workspace.path(`entrepot-${version}.tgz`)]);

    const bin = workspace.path('node_modules', '.bin');
    assert.equal((await run(['ls', bin])).stdout.split('\n').includes('node'), false);
    const env = { ...process.env, PATH: `${dirname(process.execPath)}:${process.env['PATH']}` };
    assert.match(
      await check([`${bin}/entrepot`, '--version'], { env }),
      new RegExp(`^entrepot ${version.replaceAll('.', '\\.')} \\(commit \\w+`),
    );
    const htpasswd = await workspace.file('htpasswd', `alice:${bcrypt.hashSync('correct horse', 4)}\n`);
    const config = await workspace.file(
      'entrepot.yaml',
      JSON.stringify({ access: { htpasswd, rules: [{ who: 'alice', may: ['pull'], on: ['**'] }] } }),
    );
    const options = ['--config', config, '--listen', '127.0.0.1:0', '--cache-dir', workspace.path('cache')];
    const server = await workspace.start([`${bin}/entrepot`, 'serve', ...options], {
      env,
      ready: ({ lines }) => lines().some((line) => line.includes('"listening"')),
    });
    const { address } = JSON.parse(server.lines()[0] ?? '{}') as { address: string };
    // A password is hashed in a thread, whose program is a file of the package.
    for (const [password, status] of [
      ['correct horse', 200],
      ['wrong', 401],
    ] as const) {
      const authorization = `Basic ${Buffer.from(`alice:${password}`).toString('base64')}`;
      assert.equal((await fetch(`http://${address}/v2/`, { headers: { authorization } })).status, status);
    }
    assert.equal(await server.stop(), 0);

    // So is that of a routing plugin, whose types a user's compiler finds.
    const plugin = await workspace.file(
      'routing.ts',
      `import type { RoutingPlugin } from 'entrepot/routing';
       const plugin: RoutingPlugin = ({ upstreams }) => upstreams.map(({ name }) => name);
       export default plugin;`,
    );
    assert.match(await check([`${bin}/entrepot`, 'plugin', 'test', plugin], { env }), /keeps the contract/);
    await check([
      `${root}node_modules/.bin/tsc`,
      '--ignoreConfig',
      '--noEmit',
      '--strict',
      '--module',
      'nodenext',
      plugin,
    ]);

    const npx = ['npx', '--yes', '--prefer-offline', '--package', workspace.path(`entrepot-${version}.tgz`)];
    assert.match(await check([...npx, 'entrepot', '--version'], { env }), /^entrepot /);
  });

  test('says what to do where the machine has no Node that is new enough', async () => {
    await using workspace = await Workspace.open();
    const old = await workspace.file('bin/node', '#!/bin/sh\necho 20\n');
    await check(['chmod', '+x', old]);
    await check(['cp', '-r', `${root}dist`, workspace.path('entrepot')]);
    const env = { ...process.env, PATH: `${dirname(old)}:/usr/bin:/bin` };
    const { code, stderr } = await run([workspace.path('entrepot', 'bin', 'entrepot'), '--version'], { env });
    assert.equal(code, 69);
    assert.match(stderr, /needs Node 24 or newer, but .*\/bin\/node is version 20/);
  });
});
