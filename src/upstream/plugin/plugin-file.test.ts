import assert from 'node:assert/strict';
import { chmod, mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { Workspace } from '../../../test/support/processes.ts';
import { faultOfPluginFile } from './plugin-file.ts';

let workspace: Workspace;
before(async () => {
  workspace = await Workspace.open();
});
after(() => workspace.close());

async function put(path: string, { file = 0o644, directory = 0o755 } = {}): Promise<string> {
  const at = workspace.path(path);
  await mkdir(join(at, '..'), { recursive: true });
  await writeFile(at, 'export default () => undefined;\n');
  await chmod(at, file);
  await chmod(join(at, '..'), directory);
  return at;
}

describe('the file of a plugin', () => {
  test('may be readable by everyone, in a directory that is readable by everyone, or that its group can write', async () => {
    assert.equal(await faultOfPluginFile(await put('good/routing.mjs')), undefined);
    assert.equal(await faultOfPluginFile(await put('group/routing.mjs', { directory: 0o775 })), undefined);
    assert.equal(await faultOfPluginFile(await put('sticky/routing.mjs', { directory: 0o1777 })), undefined);
  });

  for (const mode of [0o664, 0o646, 0o666]) {
    test(`may not have the mode ${mode.toString(8)}`, async () => {
      const file = await put(`mode${mode}/routing.mjs`, { file: mode });
      const fault = await faultOfPluginFile(file);
      assert.equal(
        fault,
        `${file} can be written by others (its mode is 0${mode.toString(8)}), and runs with all rights of this server. Run: chmod go-w ${file}`,
      );
    });
  }

  test('may not be where every user can replace it, however far above', async () => {
    const file = await put('open/inner/routing.mjs');
    const open = workspace.path('open');
    await chmod(open, 0o777);
    assert.match(
      (await faultOfPluginFile(file)) ?? '',
      new RegExp(`is in ${open}, where every user .*chmod o-w ${open}`),
    );
  });

  test('may not be reached by a link from, or lead to, such a directory', async () => {
    const good = await put('target/routing.mjs');
    const open = workspace.path('links');
    await mkdir(open);
    await symlink(good, join(open, 'routing.mjs'));
    assert.equal(await faultOfPluginFile(join(open, 'routing.mjs')), undefined);
    await chmod(open, 0o777);
    assert.match((await faultOfPluginFile(join(open, 'routing.mjs'))) ?? '', /where every user/);
    const exposed = await put('exposed/routing.mjs', { directory: 0o777 });
    const closed = workspace.path('closed');
    await mkdir(closed);
    await symlink(exposed, join(closed, 'routing.mjs'));
    assert.match((await faultOfPluginFile(join(closed, 'routing.mjs'))) ?? '', /is in .*exposed, where every user/);
  });

  test('must be there, and be a file', async () => {
    const absent = workspace.path('absent.mjs');
    assert.equal(await faultOfPluginFile(absent), `${absent} does not exist; create it, or correct the path`);
    assert.equal(
      await faultOfPluginFile(workspace.dir),
      `${workspace.dir} is no file; name a module such as ./routing.mjs`,
    );
  });
});
