import assert from 'node:assert/strict';
import { cp, readdir } from 'node:fs/promises';
import { join } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { check, needs, run, Workspace } from '../support/processes.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** MiB. The pinned Node alone has 211. */
const MOST = 260;

test('a clone without the development tools runs from lib/, and weighs little', needs('git'), async () => {
  await using workspace = await Workspace.open();
  const clone = workspace.path('clone');
  // The files as they stand, committed or not.
  const files = await check(['git', '-C', root, 'ls-files', '-z', '--cached', '--others', '--exclude-standard']);
  for (const file of files.split('\0').slice(0, -1)) await cp(join(root, file), join(clone, file));

  const install = ['npm', 'ci', '--prefix', clone, '--omit=dev', '--no-audit', '--no-fund'];
  const { code, stdout, stderr } = await run(install, { timeout: 240_000 });
  const said = `${stdout}${stderr}`;
  assert.equal(code, 0, said);
  assert.doesNotMatch(said, /error|ERR!|^lib\/ was not built/im);

  const modules = join(clone, 'node_modules');
  const size = Number((await check(['du', '-sm', modules])).split('\t')[0]);
  assert.ok(size < MOST, `node_modules has ${size} MiB`);
  const nodes = (await readdir(modules)).filter((name) => /^node-(?:bin-)?(?:linux|darwin)-/.test(name));
  assert.equal(nodes.length, 1, `one Node, that of this machine, and not ${nodes.join(', ')}`);

  // -x: the shell says on standard error what it runs.
  const version = await run(['sh', '-x', join(clone, 'bin', 'entrepot'), '--version']);
  assert.equal(version.code, 0, version.stderr);
  assert.match(version.stdout, /^entrepot \d/);
  assert.match(version.stderr, /exec .*\/lib\/main\.js --version/);
});
