import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { buildImage } from '../support/image.ts';
import { check, needs, Workspace } from '../support/processes.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));
const unit = `${root}deploy/systemd/entrepot.service`;

describe('the systemd unit', () => {
  test('has commands that work: start, reload, stop', async () => {
    await using workspace = await Workspace.open();
    const config = await workspace.file('etc/entrepot.yaml', 'listen: 127.0.0.1:0\n');
    const text = await readFile(unit, 'utf8');
    // As systemd would run it, but for where things are.
    const command = (key: string): string[] => {
      const line = new RegExp(`^${key}=(.+)$`, 'm').exec(text)?.[1] ?? '';
      const words = line.split(' ').map((word) => (word === '/etc/entrepot/entrepot.yaml' ? config : word));
      assert.equal(words[0], '/usr/local/bin/entrepot', key);
      return ['sh', `${root}bin/entrepot`, ...words.slice(1)];
    };
    const inside = ['sh', '-c', 'cd "$0" && exec "$@"', workspace.dir];
    const server = await workspace.start([...inside, ...command('ExecStart')], {
      ready: ({ lines }) => lines().some((line) => line.includes('"listening"')),
    });
    assert.ok((await stat(workspace.path('data'))).isDirectory(), 'the cache is where the unit says');
    await check([...inside, ...command('ExecReload')]);
    assert.ok(server.lines().some((line) => line.includes('reload')));
    assert.equal(await server.stop(), 0);
  });

  test('is one that systemd understands', needs('systemd-analyze'), async () => {
    await using workspace = await Workspace.open();
    const program = await workspace.file('entrepot', '#!/bin/sh\n');
    await check(['chmod', '+x', program]);
    const placed = (await readFile(unit, 'utf8')).replaceAll('/usr/local/bin/entrepot', program);
    const said = await check(['systemd-analyze', 'verify', await workspace.file('entrepot.service', placed)]);
    assert.equal(said, '');
  });

  test('is a tight sandbox', needs('systemd-analyze'), async (t) => {
    const said = await check(['systemd-analyze', 'security', '--offline=true', '--no-pager', '--threshold=20', unit]);
    const level = /Overall exposure level for entrepot\.service: (\d+\.\d)/.exec(said)?.[1];
    t.diagnostic(`exposure ${level}`);
    assert.ok(Number(level) <= 2, said);
  });
});

describe('the configuration of the compose file', () => {
  test('finds an image in the cold registry that the hot one does not have, by the name alone', async () => {
    await using workspace = await Workspace.open();
    const [hot, cold] = [await startScriptedUpstream(), await startScriptedUpstream()];
    workspace.defer(() => Promise.all([hot.stop(), cold.stop()]));
    hot.add(buildImage({ seed: 'hot' }), 'library/nginx', ['latest']);
    cold.add(buildImage({ seed: 'cold' }), 'test/my-app', ['latest']);

    let text = await readFile(`${root}deploy/compose/entrepot.yaml`, 'utf8');
    for (const [from, to] of [
      ['https://registry.cn-hangzhou.aliyuncs.com', hot.url],
      ['http://cold:5000', cold.url],
      ['dir: /data', `dir: ${workspace.path('data')}`],
    ] as const) {
      assert.equal(text.split(from).length, 2, from);
      text = text.replace(from, to);
    }
    const config = await workspace.file('entrepot.yaml', text);
    const server = await workspace.start(
      ['sh', `${root}bin/entrepot`, 'serve', '--config', config, '--listen', '127.0.0.1:0'],
      { ready: ({ lines }) => lines().some((line) => line.includes('"listening"')) },
    );
    const { address } = JSON.parse(server.lines()[0] ?? '{}') as { address: string };
    for (const name of ['library/nginx', 'test/my-app']) {
      const { status } = await fetch(`http://${address}/v2/${name}/manifests/latest`);
      assert.equal(status, 200, name);
    }
    assert.ok(
      hot.requests.some(({ url }) => url.includes('test/my-app')),
      'the hot one is asked first',
    );
    assert.ok(!cold.requests.some(({ url }) => url.includes('library/nginx')));
  });
});

describe('a configuration with an account at the hot registry', () => {
  const files: readonly (readonly [file: string, change: (text: string) => string, cold: string])[] = [
    ['examples/hot-and-cold.yaml', (text) => text, 'http://localhost:5001'],
    // As docs/deployment/compose.md says.
    [
      'deploy/compose/entrepot.yaml',
      (text) => text.replace('# credentials:', 'credentials:').replace(/^# (access:|  rules:|    - )/gm, '$1'),
      'http://cold:5000',
    ],
  ];
  for (const [file, change, coldUrl] of files) {
    test(`${file} shows other machines the images of both`, async () => {
      await using workspace = await Workspace.open();
      const credentials = { username: 'me', password: 'canary-password' };
      const hot = await startScriptedUpstream({ personality: 'ghcr', credentials, anonymous: false });
      const cold = await startScriptedUpstream();
      workspace.defer(() => Promise.all([hot.stop(), cold.stop()]));
      hot.add(buildImage({ seed: 'hot' }), 'test/hot', ['latest']);
      cold.add(buildImage({ seed: 'cold' }), 'test/cold', ['latest']);

      const text = change(await readFile(`${root}${file}`, 'utf8'))
        .replace('https://registry.cn-hangzhou.aliyuncs.com', hot.url)
        .replace(coldUrl, cold.url)
        .replace(/^cache: .*\n/m, '');
      const config = await workspace.file('entrepot.yaml', text);
      const server = await workspace.start(
        [
          'sh',
          `${root}bin/entrepot`,
          'serve',
          '-c',
          config,
          '--listen',
          '0.0.0.0:0',
          '--cache-dir',
          workspace.path('data'),
        ],
        {
          env: { ...process.env, HOT_USERNAME: credentials.username, HOT_PASSWORD: credentials.password },
          ready: ({ lines }) => lines().some((line) => line.includes('"listening"')),
        },
      );
      const listening = server.lines().find((line) => line.includes('"listening"')) ?? '{}';
      const { port } = new URL(`http://${(JSON.parse(listening) as { address: string }).address}`);
      for (const name of ['test/hot', 'test/cold']) {
        const { status } = await fetch(`http://127.0.0.1:${port}/v2/${name}/manifests/latest`);
        assert.equal(status, 200, name);
      }
    });
  }
});
