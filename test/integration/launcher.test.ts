import assert from 'node:assert/strict';
import { cp, utimes } from 'node:fs/promises';
import { dirname } from 'node:path';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { check, Workspace } from '../support/processes.ts';

const root = fileURLToPath(new URL('../../', import.meta.url));

describe('bin/entrepot', () => {
  for (const [what, touched, expected] of [
    ['runs what was built', undefined, 'lib'],
    ['runs the source where a file is newer than what was built', 'src/net/a.ts', 'src'],
    ['runs the source where one was removed since', 'src/net', 'src'],
    ['runs what was built where only a test is newer', 'src/net/a.test.ts', 'lib'],
  ] as const) {
    test(what, async () => {
      await using workspace = await Workspace.open();
      await cp(`${root}bin`, workspace.path('bin'), { recursive: true });
      const files = ['src/net/a.ts', 'src/net/a.test.ts', 'src/main.ts'];
      for (const file of files) await workspace.file(file, "console.log('src')");
      await workspace.file('package.json', '{"type":"module"}');
      await workspace.file('lib/main.js', "console.log('lib')");
      const at = (path: string, seconds: number) => utimes(workspace.path(path), seconds, seconds);
      for (const path of [...files, 'src/net', 'src']) await at(path, 1_000);
      await at('lib/main.js', 2_000);
      if (touched !== undefined) await at(touched, 3_000);
      assert.equal(await started(workspace), expected);
    });
  }

  test('runs the source where nothing was built', async () => {
    await using workspace = await Workspace.open();
    await cp(`${root}bin`, workspace.path('bin'), { recursive: true });
    await workspace.file('src/main.ts', "console.log('src')");
    assert.equal(await started(workspace), 'src');
  });
});

async function started(workspace: Workspace): Promise<string> {
  const env = { ...process.env, PATH: `${dirname(process.execPath)}:/usr/bin:/bin` };
  return (await check(['sh', workspace.path('bin', 'entrepot')], { env })).trim();
}
