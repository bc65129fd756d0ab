import assert from 'node:assert/strict';
import { readFile, stat } from 'node:fs/promises';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { check, needs, Workspace } from '../support/processes.ts';

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
