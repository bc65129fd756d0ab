import assert from 'node:assert/strict';
import { cp, readdir, readFile } from 'node:fs/promises';
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

  // What the README tells its reader to type, for which nothing more is installed.
  const readme = await readFile(join(clone, 'README.md'), 'utf8');
  const commands = new Set(
    Array.from(readme.matchAll(/npm (?:start|run (?!check|test|bench)[\w:]+)/g), ([each]) => each),
  );
  assert.deepEqual(commands, new Set(['npm start', 'npm run executable', 'npm run demo']));
  for (const script of ['executable', 'demo']) {
    const ran = await run(['npm', '--prefix', clone, 'run', script], { timeout: 120_000 });
    assert.deepEqual([ran.code, ran.stderr], [0, ''], ran.stdout);
  }
  const executable = join(clone, 'dist', 'executable', `entrepot-linux-${process.arch}`);
  assert.match(await check([executable, '--version']), /^entrepot \d/);
  const env = { ...process.env, ENTREPOT_LISTEN: '127.0.0.1:0', ENTREPOT_CACHE__DIR: workspace.path('cache') };
  const started = await workspace.start(['npm', '--prefix', clone, 'start'], {
    env,
    ready: ({ output }) => /listening/i.test(output()),
  });
  // As Ctrl-C: the terminal sends it to npm, its shell and the server.
  process.kill(-started.pid, 'SIGINT');
  await started.exited;
  assert.match(started.output(), /"stopped"/);
  const names = new Set(Array.from(readme.matchAll(/bin\/entrepot ([a-z]+(?: [a-z]+)*)/g), ([, name = '']) => name));
  assert.ok(names.size > 10, [...names].join());
  for (const name of names) {
    const help = await run([join(clone, 'bin', 'entrepot'), ...name.split(' '), '--help']);
    assert.deepEqual([help.code, help.stderr], [0, ''], name);
  }
});
