import assert from 'node:assert/strict';
import { chmod, mkdir, mkdtemp, readdir, readFile, rm, stat, symlink, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { filesOf, IMPORT_CASES, importCases, runImport } from '../../../../test/support/import-cases.ts';
import { loadConfig } from '../../../config/index.ts';
import { run } from '../../program.ts';

const HOT = 'registry:\n  hot: {url: "https://hot.example.com", username: robot, password: hush}\n';

describe('entrepot import', () => {
  let dir: string;
  before(async () => {
    dir = await mkdtemp(join(tmpdir(), 'entrepot-import-'));
  });
  after(() => rm(dir, { recursive: true, force: true }));

  async function given(name: string, content: string | Buffer): Promise<string> {
    await writeFile(join(dir, name), content);
    return name;
  }

  describe('turns each configuration into what is expected', () => {
    test('of which there are many', () => assert.ok(importCases().length >= 35));
    for (const name of importCases()) {
      test(name, async () => {
        const cwd = IMPORT_CASES + name;
        const { code, out, err } = await runImport(filesOf(name), { cwd });
        assert.equal(code, 0, err);
        assert.equal(out, await readFile(join(cwd, 'expected.yaml'), 'utf8'));
        assert.equal(err, await readFile(join(cwd, 'expected.txt'), 'utf8'));
        // What is printed is what the server would start with.
        await loadConfig({ env: { ENTREPOT_CONFIG: out }, cwd: '/', checkReferences: false });
      });
    }
  });

  test('reads standard input', async () => {
    const { code, out, err } = await runImport(['-'], { stdin: HOT });
    assert.equal(code, 0, err);
    assert.match(out, /url: https:\/\/hot\.example\.com # from standard input: registry\.hot\.url/);
    assert.match((await runImport(['-', '-'])).err, /found - a second time/);
  });

  test('takes its files from the command line, after options too', async () => {
    const file = join(dir, await given('one.yaml', HOT));
    const target = join(dir, 'from-the-line.yaml');
    const texts: string[] = [];
    const output = { out: (text: string) => void texts.push(text), err: (text: string) => void texts.push(text) };
    assert.equal(await run(['import', '-o', target, file], { output }), 0, texts.join(''));
    assert.match(await readFile(target, 'utf8'), /password: hush/);
    assert.equal(await run(['import'], { output }), 2);
    assert.equal(await run(['import', '--help'], { output }), 0);
    assert.match(texts.join(''), /Examples:\n {2}entrepot import config\.yaml > entrepot\.yaml/);
  });

  test('shows no secret on a terminal, and never on standard error', async () => {
    const file = await given('secret.yaml', HOT);
    const shown = await runImport([file], { cwd: dir, isTerminal: true });
    assert.doesNotMatch(shown.out + shown.err, /hush/);
    assert.match(shown.out, /password: "\*\*\*" # from secret\.yaml: registry\.hot\.password/);
    const piped = await runImport([file], { cwd: dir, isTerminal: false });
    assert.match(piped.out, /password: hush/);
    assert.doesNotMatch(piped.err, /hush/);
    const proxied = await given(
      'daemon.json',
      '{"registry-mirrors": [], "proxies": {"https-proxy": "http://a:hush@p:1"}}',
    );
    assert.doesNotMatch((await runImport([proxied], { cwd: dir, isTerminal: true })).out, /hush/);
  });

  describe('-o', () => {
    test('writes a file that its owner alone can read, whole and with all secrets', async () => {
      const file = await given('two.yaml', HOT);
      const { code, out, err } = await runImport([file], { cwd: dir, output: 'new.yaml', isTerminal: true });
      assert.equal(code, 0, err);
      assert.equal(out, '');
      assert.match(err, /Wrote .*new\.yaml\. Check it with: entrepot config validate --config .*new\.yaml/);
      assert.equal((await stat(join(dir, 'new.yaml'))).mode & 0o777, 0o600);
      assert.match(await readFile(join(dir, 'new.yaml'), 'utf8'), /password: hush/);
      assert.deepEqual(
        (await readdir(dir)).filter((name) => name.startsWith('.entrepot')),
        [],
      );
    });

    test('replaces no file without --force', async () => {
      const file = await given('three.yaml', HOT);
      await given('mine.yaml', 'mine');
      await chmod(join(dir, 'mine.yaml'), 0o644);
      const refused = await runImport([file], { cwd: dir, output: 'mine.yaml' });
      assert.equal(refused.code, 1);
      assert.match(refused.err, /mine\.yaml: it exists already; name another file, or replace it with --force/);
      assert.equal(await readFile(join(dir, 'mine.yaml'), 'utf8'), 'mine');
      assert.equal((await runImport([file], { cwd: dir, output: 'mine.yaml', force: true })).code, 0);
      assert.match(await readFile(join(dir, 'mine.yaml'), 'utf8'), /hot\.example\.com/);
      assert.equal((await stat(join(dir, 'mine.yaml'))).mode & 0o777, 0o600);
    });

    test('never replaces a file that is imported, by whatever name', async () => {
      const file = await given('four.yaml', HOT);
      await symlink('four.yaml', join(dir, 'link.yaml'));
      for (const output of ['four.yaml', './four.yaml', 'link.yaml']) {
        const { code, err } = await runImport([file], { cwd: dir, output, force: true });
        assert.equal(code, 1);
        assert.match(err, /it is a file to import/);
      }
      assert.equal(await readFile(join(dir, 'four.yaml'), 'utf8'), HOT);
    });

    test('says where a directory is in the way, or missing', async () => {
      const file = await given('five.yaml', HOT);
      await mkdir(join(dir, 'folder'));
      for (const force of [false, true]) {
        assert.match(
          (await runImport([file], { cwd: dir, output: 'folder', force })).err,
          /folder: (?:found a directory|it exists)/,
        );
      }
      assert.match(
        (await runImport([file], { cwd: dir, output: 'none/x.yaml' })).err,
        /there is no such file or directory/,
      );
    });
  });

  describe('an input that cannot be read', () => {
    const cases: readonly (readonly [name: string, content: string | Buffer, code: number, message: RegExp])[] = [
      ['empty.yaml', '', 65, /empty\.yaml is empty; import understands\n {2}Rewriting Mirror: /],
      ['blank.json', ' \n', 65, /is empty/],
      ['none.json', '{}', 65, /is JSON without any option/],
      ['binary', Buffer.from([1, 0, 2]), 65, /is binary, not text/],
      ['latin.yaml', Buffer.from([0x61, 0x3a, 0xe9]), 65, /bytes that are not UTF-8/],
      ['utf16.yaml', Buffer.from('\ufefflisten: 1', 'utf16le'), 65, /UTF-16; save it as UTF-8/],
      ['bundle.gz', Buffer.from([0x1f, 0x8b, 8, 0]), 65, /compressed with gzip/],
      [
        'Dockerfile',
        '# a comment\nARG V=1\nFROM debian:${V}\nRUN true\n',
        65,
        /looks like a Dockerfile; import understands/,
      ],
      [
        'old.service',
        '[Service]\nExecStart=/usr/local/bin/rmirror -config /etc/rmirror/config.json\n',
        65,
        /old\.service starts rmirror, whose options are in \/etc\/rmirror\/config\.json: import that file/,
      ],
      ['nginx.conf', 'server {\n  listen 80;\n}\n', 65, /looks like a configuration of nginx/],
      [
        'pod.yaml',
        'apiVersion: v1\nkind: Pod\nspec: {containers: [{name: a, image: b}]}\n',
        65,
        /looks like a manifest of Kubernetes/,
      ],
      ['compose.yaml', 'services:\n  web: {image: nginx}\n', 65, /looks like a compose file without a program/],
      ['other.toml', '[a]\nx = 1\n[b]\n', 65, /looks like TOML with the keys a, b/],
      ['other.env', 'HOME=/root\n', 65, /has the variables HOME, which no program that import knows reads/],
      [
        'entrepot.yaml',
        'listen: :5000\nregistries: {}\n',
        65,
        /a configuration of this program, which needs no import/,
      ],
      ['prose.txt', 'Dear all,\nplease pull.\n', 65, /is no YAML, JSON, TOML, environment file or command line/],
      ['large.yaml', `routes: []\n#${'x'.repeat(1024 * 1024)}`, 1, /more than 1 MiB/],
    ];
    for (const [name, content, code, message] of cases) {
      test(`${name}: ${message.source.slice(0, 50)}`, async () => {
        const result = await runImport([await given(name, content)], { cwd: dir });
        assert.match(result.err, message);
        assert.equal(result.code, code);
        assert.equal(result.out, '');
      });
    }

    test('no such file, and a directory', async () => {
      assert.match((await runImport(['nothing.yaml'], { cwd: dir })).err, /^nothing\.yaml: there is no such file/);
      assert.match((await runImport(['.'], { cwd: dir })).err, /found a directory, expected a file/);
    });

    test('all problems of all files at once, with file, line and column', async () => {
      await given('bad.yaml', 'server: {port: many}\nregistry: {hot: {url: 5, headers: [a]}}\nlogging: off\n');
      await given('bad.json', '{"listen": 5,\n "routes": [{"public_prefix": "/a", "upstream": true}, 7]}');
      await given('bad.toml', '[server]\nport = "x"\n[rateLimit]\nrequestLimit = []\n');
      await given('syntax.toml', '[a]\nb = \n');
      await given('syntax.json', '{"routes": [,]}');
      const files = ['bad.yaml', 'bad.json', 'bad.toml', 'syntax.toml', 'syntax.json'];
      const { code, err } = await runImport(files, { cwd: dir });
      assert.equal(code, 65);
      assert.deepEqual(err.split('\n').slice(0, -1), [
        'bad.yaml:1:10  server.port: found another text, expected a number',
        'bad.yaml:2:18  registry.hot.url: found 5, expected a text (in quotes where it looks like a number)',
        'bad.yaml:2:26  registry.hot.headers: found a list, expected a map',
        'bad.yaml:3:1  logging: found another text, expected a map',
        'bad.json:1:2  listen: found 5, expected a text (in quotes where it looks like a number)',
        'bad.json:2:37  routes[0].upstream: found true, expected a text (in quotes where it looks like a number)',
        'bad.json:2:56  routes[1]: found 7, expected a map',
        'bad.toml:2:1  server.port: found another text, expected a number',
        'bad.toml:4:1  rateLimit.requestLimit: found a list, expected a number',
        'syntax.toml:2:5  cannot be read as TOML: invalid value',
        'syntax.json:1:13  cannot be read as JSON: found something that cannot stand here; a text with special characters needs quotes',
        'Nothing was written: 11 problems.',
      ]);
    });

    test('no text of a file is quoted where it cannot be read', async () => {
      for (const [name, content] of [
        ['q.yaml', 'registry:\n\thot: hush'],
        ['q.toml', 'server = "hush'],
        ['q.json', '{"routes": [hush'],
        ['q.sh', "crproxy -listen 'hush"],
      ] as const) {
        const { err, code } = await runImport([await given(name, content)], { cwd: dir });
        assert.equal(code, 65, name);
        assert.doesNotMatch(err, /hush/);
      }
    });
  });

  test('reads a mark of byte order, line ends of Windows and tabs in JSON', async () => {
    const file = await given('windows.yaml', `\ufeff${HOT}`.replaceAll('\n', '\r\n'));
    assert.equal((await runImport([file], { cwd: dir })).code, 0);
    const toml = await given('hub.toml', '\ufeff[server]\r\nport = 5001\r\n[tokenCache]\r\ndefaultTTL = "20m"\r\n');
    assert.match(
      (await runImport([toml], { cwd: dir })).out,
      /^listen: 0\.0\.0\.0:5001 # from hub\.toml: server\.port$/m,
    );
    const env = await given('windows.env', 'MIRROR_SERVER_PORT=5001\r\nMIRROR_REGISTRY_HOT_URL=https://a.example\r\n');
    assert.match((await runImport([env], { cwd: dir })).out, /^listen: :5001 /m);
  });

  test('refuses keys and variables that are there twice, bombs of aliases and endless depth', async () => {
    const bomb = Array.from({ length: 12 }, (_, i) => `l${i}: &l${i} [${`*l${i - 1},`.repeat(i === 0 ? 0 : 10)}x]`);
    for (const [name, content, message] of [
      [
        'twice.yaml',
        'registry:\n  hot: {url: a}\n  hot: {url: b}\n',
        /twice\.yaml:3:3  registry\.hot: .*has this key already/,
      ],
      ['twice.json', '{"routes": [], "routes": []}', /the same map has this key already/],
      ['twice.toml', '[rateLimit]\n[rateLimit]\n', /twice\.toml:2:1|redefine/],
      [
        'twice.env',
        'MIRROR_SERVER_PORT=1\nMIRROR_SERVER_PORT=2\n',
        /twice\.env:2:1  MIRROR_SERVER_PORT: found a second time/,
      ],
      ['bomb.yaml', `${bomb.join('\n')}\nroutes: *l11\n`, /expected a plainer file/],
      ['deep.json', `{"routes": ${'['.repeat(200)}${']'.repeat(200)}}`, /expected a plainer file/],
      ['deep.toml', `a = ${'['.repeat(200)}${']'.repeat(200)}\n`, /nested/],
      ['dots.toml', `${Array.from({ length: 60 }, (_, i) => `k${i}`).join('.')} = 1\n`, /expected a plainer file/],
    ] as const) {
      const { code, err } = await runImport([await given(name, content)], { cwd: dir });
      assert.equal(code, 65, name);
      assert.match(err, message);
    }
  });

  test('leaves out a name that the loader refuses', async () => {
    const toml = 'server = "__proto__"\n[host."https://second.example.com"]\n';
    const { code, out, err } = await runImport(['-'], { stdin: toml });
    assert.deepEqual([code, out.includes('__proto__')], [0, false]);
    assert.match(err, /Not carried over:\n.*server: not carried over: the name "__proto__" cannot be used/s);
  });

  test('brings no control character of a name to the terminal or out of a comment', async () => {
    const file = await given('control.json', '{"routes": [], "access_log": true, "a\\u001b[2J\\nlisten: evil": 1}');
    const { out, err } = await runImport([file], { cwd: dir });
    assert.ok(!(out + err).includes('\u001b'));
    assert.doesNotMatch(out + err, /^listen: evil/m);
    const named = await given('x\nlisten: evil.yaml', HOT);
    assert.doesNotMatch((await runImport([named], { cwd: dir })).out, /^listen: evil/m);
  });
});
