import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { readFile, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { delimiter, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { captureOutput } from '../../../../test/support/capture-output.ts';
import { type ConsoleAnswer, controlSocketPath, createControl, OPERATIONS } from '../../../admin/index.ts';
import { BrowserPage, findOpener } from './browser.ts';
import { openConsole } from './console.ts';

const directory = mkdtempSync(join(tmpdir(), 'entrepot-console-test-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const CODE = 'c0de-c0de';
const ADDRESS = `http://127.0.0.1:5000/ui/#code=${CODE}`;
const answer: ConsoleAnswer = {
  code: CODE,
  expiresAt: Date.UTC(2026, 10, 29, 12, 1, 0),
  urls: ['http://127.0.0.1:5000/ui/'],
};

/** A program that writes what it was called with into a file, and the page that it was given beside it. */
function program(
  name: string,
  { code = 0 }: { readonly code?: number } = {},
): { readonly dir: string; readonly log: string } {
  const dir = mkdtempSync(join(directory, 'bin-'));
  const log = join(dir, 'called');
  const script = `#!/bin/sh\necho "$#:$1" > ${log}.tmp\ncat "\${1#file://}" > ${log}.page\nmv ${log}.tmp ${log}\nexit ${code}\n`;
  writeFileSync(join(dir, name), script, { mode: 0o755 });
  return { dir, log };
}

interface Asked {
  readonly env?: NodeJS.ProcessEnv;
  readonly print?: boolean;
  readonly json?: boolean;
  readonly given?: ConsoleAnswer;
}

async function say({ env = {}, given = answer, ...options }: Asked) {
  const dir = mkdtempSync(join(directory, 'server-'));
  const control = createControl({
    path: controlSocketPath(dir),
    operations: [OPERATIONS.console],
    context: { openConsole: () => Promise.resolve(given) },
  });
  await control.start();
  try {
    const { output, said } = captureOutput();
    const surroundings = { output, env: { PATH: '/usr/bin:/bin', ...env }, platform: 'linux', patience: 0 } as const;
    const code = await openConsole({ ...options, flags: { cacheDir: dir } }, surroundings);
    return { code, ...said };
  } finally {
    await control.close();
  }
}

describe('entrepot console', () => {
  test('opens the page, and shows the code to no other user of the machine', async () => {
    const { dir, log } = program('xdg-open');
    const { code, out, err } = await say({ env: { DISPLAY: ':0', PATH: `${dir}:/usr/bin:/bin` } });
    assert.deepEqual([code, out], [0, `${ADDRESS}\n`]);
    assert.match(err, /^The browser opens\. If it does not, open this address within a minute/);
    const called = (await readFile(log, 'utf8')).trim();
    assert.match(called, /^1:file:\/\/\S+\/console\.html$/);
    assert.ok(!called.includes(CODE));
    assert.ok((await readFile(`${log}.page`, 'utf8')).includes(`location.replace("${ADDRESS}")`));
    await assert.rejects(stat(fileURLToPath(called.slice(2))), { code: 'ENOENT' });
  });

  test('prints the address where there is no display, and how it is reached from elsewhere', async () => {
    const { code, out, err } = await say({});
    assert.deepEqual([code, out], [0, `${ADDRESS}\n`]);
    assert.match(err, /^Open this address until 12:01:00Z\. It lets one browser in, once/);
    assert.match(err, /\n {2}ssh -N -L 5000:127\.0\.0\.1:5000 \S+@\S+\n/);
  });

  test('prints it over SSH, also where a display is there', async () => {
    const { dir } = program('xdg-open', { code: 3 });
    const env = { DISPLAY: ':10', SSH_CONNECTION: '10.0.0.1 1 10.0.0.2 22', PATH: dir };
    assert.match((await say({ env })).err, /ssh -N -L/);
    assert.match((await say({ env, print: true })).err, /ssh -N -L/);
  });

  test('prints it where it is told to, and speaks of no other machine', async () => {
    const { dir } = program('xdg-open', { code: 3 });
    const { out, err } = await say({ env: { DISPLAY: ':0', PATH: dir }, print: true });
    assert.equal(out, `${ADDRESS}\n`);
    assert.doesNotMatch(err, /ssh/);
  });

  test('prints it where the browser cannot be opened, with why', async () => {
    const { dir } = program('xdg-open', { code: 3 });
    const { code, out, err } = await say({ env: { DISPLAY: ':0', PATH: `${dir}:/usr/bin:/bin` } });
    assert.deepEqual([code, out], [0, `${ADDRESS}\n`]);
    assert.match(err, /xdg-open cannot open a browser: it ended with 3\n/);
  });

  test('names the other addresses, and needs no tunnel to a public one', async () => {
    const urls = ['https://mirror.example.com/ui/', 'http://10.0.0.2:5000/ui/'];
    const { out, err } = await say({ given: { ...answer, urls } });
    assert.equal(out, `https://mirror.example.com/ui/#code=${CODE}\n`);
    assert.doesNotMatch(err, /ssh/);
    assert.match(err, /The page is also at http:\/\/10\.0\.0\.2:5000\/ui\/: there, put the part from # on behind it\./);
  });

  test('takes the port of the scheme, and an address of IPv6', async () => {
    const tunnel = async (url: string) =>
      /ssh -N -L (\S+)/.exec((await say({ given: { ...answer, urls: [url] } })).err)?.[1];
    assert.equal(await tunnel('https://localhost/ui/'), '443:localhost:443');
    assert.equal(await tunnel('http://[::1]:5000/ui/'), '5000:[::1]:5000');
  });

  test('prints JSON', async () => {
    const { out, err } = await say({ json: true, env: { DISPLAY: ':0' } });
    assert.deepEqual([JSON.parse(out), err], [{ url: ADDRESS, ...answer }, '']);
  });

  test('fails where the server has no page that a browser reaches', async () => {
    const { code, out, err } = await say({ given: { ...answer, urls: [] } });
    assert.deepEqual([code, out], [1, '']);
    assert.match(err, /no listener that a browser reaches; add an address under listen/);
  });
});

describe('what opens a browser', () => {
  const linux = (env: NodeJS.ProcessEnv) => findOpener({ env, platform: 'linux' });

  test('is found in PATH, without a shell', async () => {
    const { dir } = program('sensible-browser');
    const opener = await linux({ WAYLAND_DISPLAY: 'wayland-0', PATH: [`/nowhere`, '', dir].join(delimiter) });
    assert.deepEqual(opener, { command: join(dir, 'sensible-browser'), arguments: [] });
    assert.equal(await linux({ DISPLAY: ':0', PATH: '/nowhere' }), undefined);
    assert.equal(await linux({ DISPLAY: ':0' }), undefined);
    assert.equal(await linux({ DISPLAY: '', PATH: dir }), undefined);
  });

  test('is another one on other systems', async () => {
    const { dir } = program('open');
    const mac = await findOpener({ env: { PATH: dir }, platform: 'darwin' });
    assert.equal(mac?.command, join(dir, 'open'));
    const windows = program('rundll32.exe');
    const found = await findOpener({ env: { PATH: windows.dir }, platform: 'win32' });
    assert.deepEqual(found?.arguments, ['url.dll,FileProtocolHandler']);
  });

  test('is given a file that its user alone can read', async () => {
    let file = '';
    {
      await using page = await BrowserPage.write('http://127.0.0.1/ui/#code=</script><b>');
      const { dir, log } = program('opener');
      assert.equal(await page.open({ command: join(dir, 'opener'), arguments: [] }), undefined);
      file = fileURLToPath((await readFile(log, 'utf8')).trim().slice(2));
      assert.equal((await stat(file)).mode & 0o777, 0o600);
      assert.equal((await stat(join(file, '..'))).mode & 0o777, 0o700);
      assert.equal((await readFile(file, 'utf8')).match(/<\/script>/g)?.length, 1);
      assert.match((await page.open({ command: join(dir, 'none'), arguments: [] })) ?? '', /ENOENT/);
    }
    await assert.rejects(stat(file), { code: 'ENOENT' });
  });
});
