import assert from 'node:assert/strict';
import { mkdir, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { describe, type TestContext, test } from 'node:test';
import { gc } from '../../src/cli/commands/cache/gc.ts';
import { purge } from '../../src/cli/commands/cache/purge.ts';
import { refresh } from '../../src/cli/commands/cache/refresh.ts';
import { scrub } from '../../src/cli/commands/cache/scrub.ts';
import { initCa } from '../../src/cli/commands/config/ca.ts';
import { suggest } from '../../src/cli/commands/config/suggest.ts';
import { reload } from '../../src/cli/commands/server/reload.ts';
import { status } from '../../src/cli/commands/server/status.ts';
import type { Output } from '../../src/cli/output.ts';
import type { ConfigFlags } from '../../src/config/index.ts';
import { captureOutput } from '../support/capture-output.ts';
import { startMirror } from '../support/mirror.ts';
import { check, needs, run as runProcess, Workspace } from '../support/processes.ts';

// What every command that takes a directory as a cache does to one that is none.

const PHOTO = Buffer.from([0xff, 0xd8, 0xff, 0xe0, 0, 1, 2, 3]);

/** A user's own files, with names that a cache has too. */
async function userDirectory(workspace: Workspace): Promise<string> {
  const dir = workspace.path('home');
  for (const name of ['x/ingest/file', 'ingest/notes', 'blobs/sha256/3f/mine', 'quarantine.txt', 'ca/notes']) {
    await mkdir(dirname(join(dir, name)), { recursive: true });
    await writeFile(join(dir, name), `mine: ${name}`);
  }
  await writeFile(join(dir, 'photo.jpg'), PHOTO);
  return dir;
}

async function contents(dir: string): Promise<readonly unknown[]> {
  const names = ['.', ...(await readdir(dir, { recursive: true })).sort()];
  return Promise.all(
    names.map(async (name) => {
      const stats = await stat(join(dir, name));
      return [name, stats.mtimeMs, stats.isFile() ? await readFile(join(dir, name), 'base64') : 'directory'];
    }),
  );
}

interface Said {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

type Attempt = (cacheDir: string) => Promise<Said>;

/** Runs a command in this process. */
function within(command: (flags: ConfigFlags, output: Output) => Promise<number>): Attempt {
  return async (cacheDir) => {
    const { output, said } = captureOutput();
    return { code: await command({ cacheDir }, output), ...said };
  };
}

const COMMANDS: Readonly<Record<string, Attempt>> = {
  // In a process of its own: where it is not refused, it stays.
  async serve(dir) {
    const argv = ['sh', 'bin/entrepot', 'serve', '--listen', '127.0.0.1:0', '--cache-dir', dir];
    const { code, stdout: out, stderr: err } = await runProcess(argv);
    return { code, out, err };
  },
  gc: within((flags, output) => gc({ flags }, output)),
  'gc --dry-run': within((flags, output) => gc({ flags, dryRun: true }, output)),
  'gc --max-size': within((flags, output) => gc({ flags, maxSize: '0' }, output)),
  purge: within((flags, output) => purge({ flags, patterns: ['**'] }, output)),
  scrub: within((flags, output) => scrub({ flags }, { output })),
  'scrub --stop': within((flags, output) => scrub({ flags, stop: true }, { output })),
  refresh: within((flags, output) => refresh({ flags, patterns: ['nginx'] }, output)),
  status: within((flags, output) => status({ flags }, output)),
  reload: within((flags, output) => reload({ flags }, output)),
  'access suggest': within((flags, output) => suggest({ flags }, output)),
  'ca init': within((flags, output) => initCa({ flags }, output)),
};

async function workspaceOf(t: TestContext): Promise<Workspace> {
  const workspace = await Workspace.open();
  t.after(() => workspace.close());
  return workspace;
}

describe('a directory that is no cache', () => {
  for (const [what, attempt] of Object.entries(COMMANDS)) {
    test(`is refused by ${what}, and is the same afterwards`, async (t) => {
      const dir = await userDirectory(await workspaceOf(t));
      for (const place of [dir, join(dir, 'x')]) {
        const before = await contents(dir);
        const { code, out, err } = await attempt(place);
        assert.equal(code, 1, out + err);
        assert.equal(out, '');
        assert.match(err, /^Cannot use \S+ as the cache directory: it holds other files .* and is no cache\./);
        assert.deepEqual(await contents(dir), before);
      }
    });
  }

  for (const [what, attempt] of Object.entries(COMMANDS)) {
    if (['serve', 'ca init'].includes(what)) continue;
    test(`is not begun by ${what}, where it is empty or absent`, async (t) => {
      const workspace = await workspaceOf(t);
      await mkdir(workspace.path('empty'));
      const before = await contents(workspace.dir);
      for (const name of ['empty', 'absent']) {
        const { code, out, err } = await attempt(workspace.path(name));
        assert.equal(code, 1, out + err);
        assert.equal(out, '');
        assert.match(err, /--cache-dir/);
      }
      assert.deepEqual(await contents(workspace.dir), before);
    });
  }

  for (const [what, attempt] of Object.entries(COMMANDS)) {
    test(`is refused by ${what}, where a newer release made it`, async (t) => {
      const workspace = await workspaceOf(t);
      const dir = workspace.path('newer');
      await workspace.file('newer/entrepot-cache.json', '{"format":7}');
      await workspace.file('newer/ingest/0123456789abcdef0123456789abcdef', 'growing');
      const before = await contents(dir);
      const { code, out, err } = await attempt(dir);
      assert.equal(code, 1, out + err);
      assert.equal(out, '');
      assert.match(err, /a newer release of entrepot made it, in format 7/);
      assert.deepEqual(await contents(dir), before);
    });
  }
});

describe('a full disk under an empty cache', () => {
  test('is said in words of the cache, with the remedy', needs('root'), async (t) => {
    const dir = (await workspaceOf(t)).path('full');
    await mkdir(dir);
    await check(['mount', '-t', 'tmpfs', '-o', 'size=16k', 'tmpfs', dir]);
    try {
      const said = await COMMANDS['serve']?.(dir);
      assert.deepEqual(said, {
        code: 1,
        out: '',
        err: `Cannot use ${dir} as the cache directory: its disk is full. Free some space, or choose another with --cache-dir.\n`,
      });
    } finally {
      await check(['umount', dir]);
    }
  });
});

describe('a cache', () => {
  test('says that it is one, keeps files of others, and warns of them once', async (t) => {
    const workspace = await workspaceOf(t);
    const dir = workspace.path('cache');
    await mkdir(join(dir, 'lost+found'), { recursive: true });
    await (await startMirror({}, { dir })).stop();
    assert.equal(await readFile(join(dir, 'entrepot-cache.json'), 'utf8'), '{"format":1}\n');
    await writeFile(join(dir, 'ingest', 'notes.txt'), 'mine');
    const mirror = await startMirror({}, { dir });
    const warned = await mirror.logged(({ msg }) => /files of another program/.test(msg));
    assert.equal(mirror.log.filter(({ msg }) => msg === warned.msg).length, 1);
    await mirror.stop();
    const { code, out, err } = await within((flags, output) => scrub({ flags }, { output }))(dir);
    assert.equal(code, 0, out + err);
    assert.equal(await readFile(join(dir, 'ingest', 'notes.txt'), 'utf8'), 'mine');
  });

  test('may have its authority before its first server', async (t) => {
    const workspace = await workspaceOf(t);
    const dir = workspace.path('cache');
    assert.equal((await COMMANDS['ca init']?.(dir))?.code, 0);
    await (await startMirror({}, { dir })).stop();
    assert.deepEqual((await readdir(join(dir, 'ca'))).sort(), ['ca.crt', 'ca.key']);
  });
});
