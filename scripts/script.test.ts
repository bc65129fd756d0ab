import assert from 'node:assert/strict';
import { cp, mkdir, rm, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { check, run, Workspace } from '../test/support/processes.ts';
import { partsList } from './parts-list.ts';
import { outputOf } from './script.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

describe('a program that a script runs', () => {
  const options = { cwd: root, remedy: 'Do this' };
  const rows: readonly (readonly [what: string, command: readonly string[], message: string])[] = [
    ['is not there', ['no-such-program', 'x'], 'Cannot run no-such-program x: it is not installed. Do this'],
    [
      'fails as npm does',
      ['sh', '-c', 'echo "npm error code E1" >&2; echo "npm error no network." >&2; exit 1'],
      'Cannot run sh -c echo "npm error code E1" >&2; echo "npm error no network." >&2; exit 1: no network. Do this',
    ],
    ['fails in silence', ['false'], 'Cannot run false: it failed and gave no reason. Do this'],
  ];
  for (const [what, command, message] of rows) {
    test(`${what}: one line with the remedy`, () => {
      assert.throws(() => outputOf(command, options), { message });
    });
  }
});

describe('the parts list', () => {
  test('has what is asked for and nothing else, and every reference leads somewhere', () => {
    const parts = JSON.parse(partsList(new Set(['pino 10.4.0', 'zod 4.6.7']))) as {
      readonly components: readonly { readonly name: string }[];
      readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
    };
    assert.deepEqual(
      parts.components.map(({ name }) => name),
      ['pino', 'zod'],
    );
    assert.deepEqual(
      parts.dependencies.map(({ ref, dependsOn }) => [ref.replace(/@.*/, ''), dependsOn]),
      [
        ['entrepot', ['pino@10.4.0', 'zod@4.6.7']],
        ['pino', []],
        ['zod', []],
      ],
    );
  });

  test('lacks nothing in silence', () => {
    assert.throws(() => partsList(new Set(['zod 0.0.0'])), /^Error: package-lock.json lacks zod 0\.0\.0: run npm ci/);
  });
});

describe('a script that cannot do its work', () => {
  /** A checkout in which nothing is installed, and one page is missing. */
  async function bareCheckout(workspace: Workspace): Promise<string> {
    const bare = workspace.path('bare');
    await mkdir(bare);
    for (const name of ['scripts', 'package.json', 'package-lock.json', 'bin'])
      await cp(join(root, name), join(bare, name), { recursive: true });
    return bare;
  }

  for (const script of ['bundle', 'executable', 'package']) {
    test(`${script}: one line with the remedy, and no stack`, async () => {
      await using workspace = await Workspace.open();
      const bare = await bareCheckout(workspace);
      const { code, stderr } = await run([process.execPath, join(bare, 'scripts', `${script}.ts`)]);
      assert.deepEqual([code, stderr], [1, 'esbuild is not installed. Run npm ci --omit=dev\n']);
    });
  }

  test('lock: a lock that cannot be read', async () => {
    await using workspace = await Workspace.open();
    const bare = await bareCheckout(workspace);
    await rm(join(bare, 'package-lock.json'));
    const { code, stderr } = await run([process.execPath, join(bare, 'scripts', 'complete-lock.ts')]);
    assert.deepEqual([code, stderr.split('\n').length], [1, 2], stderr);
    assert.match(stderr, /^ENOENT: .*package-lock\.json/);
  });

  test('generate: a page without its marks', async () => {
    await using workspace = await Workspace.open();
    const bare = await bareCheckout(workspace);
    for (const name of ['node_modules', 'src', 'deploy', 'schema']) await symlink(join(root, name), join(bare, name));
    await cp(join(root, 'docs'), join(bare, 'docs'), { recursive: true });
    await writeFile(join(bare, 'docs', 'observing.md'), 'nothing');
    const { code, stderr } = await run([
      process.execPath,
      '--preserve-symlinks',
      join(bare, 'scripts', 'generate.ts'),
      '--check',
    ]);
    assert.deepEqual([code, stderr.split('\n').length], [1, 2], stderr);
    assert.match(stderr, /^docs\/observing\.md has lost its marks; expected /);
  });

  test('with DEBUG=1, its place too', async () => {
    await using workspace = await Workspace.open();
    const bare = await bareCheckout(workspace);
    const { stderr } = await run([process.execPath, join(bare, 'scripts', 'bundle.ts')], { env: { DEBUG: '1' } });
    assert.match(stderr, /esbuild is not installed.*\n\s+at /);
  });
});

test('arguments of scripts that are wrong end with 2, and say the usage', async () => {
  for (const script of ['executable', 'generate', 'complete-lock', 'check', 'package', 'bundle']) {
    const { code, stderr } = await run([process.execPath, join(root, 'scripts', `${script}.ts`), '--nothing']);
    assert.equal(code, 2, script);
    assert.match(stderr, /^usage: /m, script);
  }
  await check([process.execPath, join(root, 'scripts', 'complete-lock.ts'), '--check']);
});
