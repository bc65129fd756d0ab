import assert from 'node:assert/strict';
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdtemp, open, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Readable } from 'node:stream';
import { text } from 'node:stream/consumers';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { CommandOptions } from './command.ts';
import type { ServeOptions } from './commands/server/serve.ts';
import { run } from './program.ts';

const FAILED = { image: 'nginx', client: '10.0.0.7', outcome: 'failed' };
let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'entrepot-cli-'));
  await writeFile(join(directory, 'good.yaml'), 'listen: :1\ntransport: {force_http2: true}\n');
  await writeFile(join(directory, 'bad.yaml'), 'lisen: :1\nlog: {level: loud}\n');
});
after(() => rm(directory, { recursive: true, force: true }));

interface Result {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly served: readonly ServeOptions[];
  readonly asked: readonly CommandOptions[];
}

async function command(...argv: readonly string[]): Promise<Result> {
  const result = { out: '', err: '', served: [] as ServeOptions[], asked: [] as CommandOptions[] };
  const code = await run(argv, {
    output: { out: (text) => (result.out += text), err: (text) => (result.err += text) },
    actions: {
      serve: (options) => Promise.resolve(result.served.push(options) - 1),
      status: (options) => Promise.resolve(result.asked.push(options) + 6),
      reload: (options) => Promise.resolve(result.asked.push(options) + 6),
      gc: (options) => Promise.resolve(result.asked.push(options) + 6),
      scrub: (options) => Promise.resolve(result.asked.push(options) + 6),
      purge: (options) => Promise.resolve(result.asked.push(options) + 6),
      refresh: (options) => Promise.resolve(result.asked.push(options) + 6),
      history: (options) => Promise.resolve(result.asked.push(options) + 6),
      rollback: (options) => Promise.resolve(result.asked.push(options) + 6),
      unhold: (options) => Promise.resolve(result.asked.push(options) + 6),
      list: (options) => Promise.resolve(result.asked.push(options) + 6),
      pin: (options) => Promise.resolve(result.asked.push(options) + 6),
      unpin: (options) => Promise.resolve(result.asked.push(options) + 6),
      check: (options) => Promise.resolve(result.asked.push(options) + 6),
      healthcheck: (options) => Promise.resolve(result.asked.push(options) + 6),
      doctor: (options) => Promise.resolve(result.asked.push(options) + 6),
      console: (options) => Promise.resolve(result.asked.push(options) + 6),
      pulls: (options) => Promise.resolve(result.asked.push(options) + 6),
      explain: (options) => Promise.resolve(result.asked.push(options) + 6),
    },
  });
  return { code, ...result };
}

describe('entrepot list, pin and unpin', () => {
  test('take what they are about, and their flags', async () => {
    const asked = async (...argv: string[]) => (await command(...argv)).asked;
    assert.deepEqual(await asked('list'), [{ flags: {} }]);
    assert.deepEqual(await asked('list', 'nginx', '--json', '--cache-dir', '/x'), [
      { flags: { cacheDir: '/x' }, json: true, pattern: 'nginx' },
    ]);
    assert.deepEqual(await asked('list', '--home=hosted', '--registry', 'ghcr.io', '--search', 'a b'), [
      { flags: {}, home: 'hosted', registry: 'ghcr.io', search: 'a b' },
    ]);
    assert.deepEqual(await asked('pin', 'a', 'b:1', '-c', 'x'), [{ flags: { config: 'x' }, images: ['a', 'b:1'] }]);
    assert.deepEqual(await asked('unpin', 'a', '--json'), [{ flags: {}, json: true, images: ['a'] }]);
  });

  test('refuse what they do not know', async () => {
    for (const line of ['list a b', 'list --home here', 'pin', 'unpin']) {
      const { code, asked } = await command(...line.split(' '));
      assert.deepEqual([code, asked], [2, []], line);
    }
  });
});

describe('entrepot serve', () => {
  test('takes every flag, in both spellings', async () => {
    const line =
      'serve -config x.yaml --listen :1 -listen=[::1]:2 -cache-dir=/x --domain-suffix m.example ' +
      '-default-registry=https://r.example -registry-map map.json --log-level=debug --log-format json';
    const { code, served } = await command(...line.split(' '));
    assert.equal(code, 0);
    assert.deepEqual(served, [
      {
        flags: {
          config: 'x.yaml',
          listen: [':1', '[::1]:2'],
          cacheDir: '/x',
          domainSuffix: 'm.example',
          defaultRegistry: 'https://r.example',
          registryMap: 'map.json',
          logLevel: 'debug',
          logFormat: 'json',
        },
      },
    ]);
  });

  test('leaves to the configuration what no flag says', async () => {
    assert.deepEqual((await command('serve')).served, [{ flags: {} }]);
    assert.deepEqual((await command('serve', '-c', 'x')).served, [{ flags: { config: 'x' } }]);
    assert.deepEqual((await command('serve', '--no-cache')).served, [{ flags: { cache: false } }]);
  });

  test('is what a command line without a command means', async () => {
    const rows: readonly (readonly [line: string, served: object])[] = [
      ['-listen=:5000', { flags: { listen: [':5000'] } }],
      ['-config x', { flags: { config: 'x' } }],
      ['-c x', { flags: { config: 'x' } }],
      ['-config x -check-upstreams', { flags: { config: 'x' }, checkUpstreams: 'warn' }],
      ['-check-upstreams=refuse -config x', { flags: { config: 'x' }, checkUpstreams: 'refuse' }],
    ];
    for (const [line, served] of rows) assert.deepEqual((await command(...line.split(' '))).served, [served], line);
  });

  test('checks upstreams where it is told to', async () => {
    const served = async (...argv: string[]) => (await command('serve', ...argv)).served;
    assert.deepEqual(await served('--check-upstreams'), [{ flags: {}, checkUpstreams: 'warn' }]);
    assert.deepEqual(await served('-check-upstreams=refuse'), [{ flags: {}, checkUpstreams: 'refuse' }]);
  });

  test('gives back the code of what it ran', async () => {
    assert.deepEqual((await command('status', '--json', '--cache-dir', '/x')).asked, [
      { flags: { cacheDir: '/x' }, json: true },
    ]);
    assert.deepEqual((await command('status', '--watch')).asked, [{ flags: {}, watch: true }]);
    assert.equal((await command('status')).code, 7);
    assert.deepEqual((await command('reload', '--json', '-c', 'x')).asked, [{ flags: { config: 'x' }, json: true }]);
  });
});

describe('a wrong command line', () => {
  const rows: readonly (readonly [readonly string[], RegExp])[] = [
    [['sevre'], /unknown command 'sevre'\n\(Did you mean serve\?\)/],
    [['serve', '--lisen', 'x'], /unknown option '--lisen'\n\(Did you mean --listen\?\)/],
    [['serve', '-lisen', 'x'], /Did you mean --listen\?/],
    [['serve', '--port', '5000'], /unknown option '--port'\n\(Use --listen :PORT\.\)/],
    [['serve', '-p', '5000'], /Use --listen :PORT/],
    [['serve', '--port=5000'], /Use --listen :PORT/],
    [['serve', '--data-dir', '/x'], /Use --cache-dir DIR/],
    [['serve', '-v'], /Use --log-level debug, or --version/],
    [['serve', '--max-size', '5GB'], /Use cache: \{max_size/],
    [['--port', '5000'], /unknown option '--port'\n\(Use --listen :PORT\.\)/],
    [['serve', 'extra'], /too many arguments/],
    [['serve', '--config'], /argument missing/],
    [['serve', '--cache-dir='], /Expected the path of a directory/],
    [['serve', '--no-cache', '--cache-dir', 'x'], /cannot be used with/],
    [['config', 'defualt'], /Did you mean default\?/],
    [['config'], /Usage: entrepot config/],
    [['-c', 'x', 'status'], /too many arguments for 'serve'/],
    [['serve', '--check-upstreams=maybe'], /Allowed choices are warn, refuse/],
    [['gc', '--dir', 'x'], /Use --cache-dir DIR/],
    // What only another command has is no help.
    [['check', '--port'], /^error: unknown option '--port'\n\(see entrepot check --help\)\n$/],
    [['status', '--debug'], /^error: unknown option '--debug'\n\(see entrepot status --help\)\n$/],
  ];
  for (const [argv, expected] of rows) {
    test(`${argv.join(' ')} ends with 2 and says what would do`, async () => {
      const { code, err, out, served } = await command(...argv);
      assert.equal(code, 2);
      assert.match(err, expected);
      assert.equal(out, '');
      assert.deepEqual(served, []);
    });
  }
});

describe('help', () => {
  for (const argv of [
    [],
    ['--help'],
    ['-help'],
    ['help'],
    ['serve', '--help'],
    ['config', '-h'],
    ['help', 'config'],
    ['config', 'print', '--help'],
    ['status', '--help'],
    ['gc', '--help'],
    ['purge', '--help'],
    ['refresh', '--help'],
    ['history', '--help'],
    ['rollback', '--help'],
    ['unhold', '--help'],
    ['check', '--help'],
    ['healthcheck', '--help'],
    ['console', '--help'],
    ['pulls', '--help'],
    ['explain', '--help'],
  ]) {
    test(`entrepot ${argv.join(' ')} goes to standard output and ends with 0`, async () => {
      const { code, out, err } = await command(...argv);
      assert.equal(code, 0);
      assert.match(out, /^Usage: entrepot/);
      assert.equal(err, '');
    });
  }

  test('names the command whose help explains a mistake', async () => {
    const rows = [
      ['serve --lissten x', /unknown option '--lissten'.*\(see entrepot serve --help\)/s],
      ['foo --help', /unknown command 'foo'\n\(see entrepot --help\)/],
      ['help serv', /unknown command 'serv'\n\(Did you mean serve\?\)/],
      ['help config valdate', /unknown command 'valdate'.*\(see entrepot config --help\)/s],
      ['setup skopeo', /reads the files of podman: use entrepot setup podman\./],
      ['setup dockr', /Expected one of docker, .*Did you mean docker\?/],
    ] as const;
    for (const [line, expected] of rows) {
      const { code, out, err } = await command(...line.split(' '));
      assert.deepEqual([line, code, out], [line, 2, '']);
      assert.match(err, expected);
    }
    const [one, other] = [await command('help', 'config', 'print'), await command('config', 'print', '--help')];
    assert.deepEqual(one, other);
  });

  test('wraps what its commands do, however long their names are', async () => {
    for (const group of ['access', 'users', 'tokens', 'config', 'ca']) {
      const [commands = ''] = /^Commands:\n(?: .*\n)+/m.exec((await command(group, '--help')).out) ?? [];
      const long = commands.split('\n').filter((line) => line.length > 80);
      assert.deepEqual([commands !== '', long], [true, []], group);
    }
  });

  test('has examples where there is something to say', async () => {
    for (const argv of [['--help'], ['serve', '--help'], ['config', '--help']]) {
      assert.match((await command(...argv)).out, /\nExamples:\n/);
    }
  });

  test('--version names the version and that of Node', async () => {
    const { code, out } = await command('-version');
    assert.equal(code, 0);
    assert.match(out, /^entrepot \d+\.\d+\.\d+ \(.*Node \d+\.\d+\.\d+\)\n$/);
  });
});

describe('entrepot check', () => {
  test('takes names, a time and more', async () => {
    assert.deepEqual((await command('check')).asked, [{ flags: {}, names: [] }]);
    const line = 'check -config x docker.io --all --timeout=5s ghcr.io --json';
    assert.deepEqual((await command(...line.split(' '))).asked, [
      { flags: { config: 'x' }, json: true, names: ['docker.io', 'ghcr.io'], all: true, timeout: '5s' },
    ]);
  });
});

describe('entrepot healthcheck', () => {
  test('takes a file, an address and a time', async () => {
    assert.deepEqual((await command('healthcheck')).asked, [{ flags: {} }]);
    const line = 'healthcheck -c x --url unix:/run/s --timeout=500ms';
    assert.deepEqual((await command(...line.split(' '))).asked, [
      { flags: { config: 'x' }, url: 'unix:/run/s', timeout: '500ms' },
    ]);
  });
});

describe('what is asked about pulls, and of the page', () => {
  const rows: readonly [line: string, asked: object][] = [
    ['pulls', { flags: {} }],
    ['pulls -f --image nginx --client 10.0.0.7 --outcome failed', { flags: {}, ...FAILED, follow: true }],
    ['pulls --limit=500 --json --cache-dir /x', { flags: { cacheDir: '/x' }, json: true, limit: 500 }],
    ['explain a1b2-3f --json', { flags: {}, json: true, of: 'a1b2-3f' }],
    ['explain nginx:1 --who token:ci -c x', { flags: { config: 'x' }, of: 'nginx:1', who: 'token:ci' }],
    ['console', { flags: {} }],
    ['console --print --json', { flags: {}, print: true, json: true }],
  ];
  for (const [line, expected] of rows) {
    test(`entrepot ${line}`, async () => {
      const { code, asked } = await command(...line.split(' '));
      assert.deepEqual([code, asked], [7, [expected]]);
    });
  }

  const wrong: readonly [line: string, message: RegExp][] = [
    ['pulls --outcome bad', /Allowed choices are failed, refused, stale, miss, hit/],
    ['pulls --limit 0', /Expected a number from 1 to 10000/],
    ['pulls --limit 1e3', /Expected a number from 1 to 10000/],
    ['pulls nginx', /too many arguments/],
    ['explain', /missing required argument 'request-id\|image'/],
    ['explain a b', /too many arguments/],
  ];
  for (const [line, message] of wrong) {
    test(`entrepot ${line} ends with 2`, async () => {
      const { code, err, asked } = await command(...line.split(' '));
      assert.deepEqual([code, asked], [2, []]);
      assert.match(err, message);
    });
  }
});

describe('what is done with a cache', () => {
  const rows: readonly [line: string, asked: object][] = [
    ['gc', { flags: {} }],
    [
      'gc --dry-run --max-size=20GB -c x.yaml --json',
      { flags: { config: 'x.yaml' }, json: true, dryRun: true, maxSize: '20GB' },
    ],
    ['purge --cache-dir /x nginx ghcr.io/**', { flags: { cacheDir: '/x' }, patterns: ['nginx', 'ghcr.io/**'] }],
    ['purge nginx:1 --dry-run', { flags: {}, dryRun: true, patterns: ['nginx:1'] }],
    ['refresh nginx --json', { flags: {}, json: true, patterns: ['nginx'] }],
    ['history nginx:1 --json', { flags: {}, json: true, image: 'nginx:1' }],
    [
      'rollback nginx:1@sha256:ab --until 7d --reason broken',
      { flags: {}, image: 'nginx:1@sha256:ab', until: '7d', reason: 'broken' },
    ],
    ['unhold nginx:1 --cache-dir /x', { flags: { cacheDir: '/x' }, image: 'nginx:1' }],
  ];
  for (const [line, expected] of rows) {
    test(`entrepot ${line}`, async () => {
      const { code, asked } = await command(...line.split(' '));
      assert.deepEqual([code, asked], [7, [expected]]);
    });
  }

  for (const name of ['purge', 'refresh']) {
    test(`entrepot ${name} takes at least one image`, async () => {
      const { code, err, asked } = await command(name);
      assert.deepEqual([code, asked], [2, []]);
      assert.match(err, /missing required argument 'pattern'/);
    });
  }

  for (const name of ['history', 'rollback', 'unhold']) {
    test(`entrepot ${name} takes one image`, async () => {
      for (const argv of [[name], [name, 'a', 'b']]) {
        const { code, err, asked } = await command(...argv);
        assert.deepEqual([code, asked], [2, []]);
        assert.match(err, /missing required argument 'image'|too many arguments/);
      }
    });
  }
});

describe('entrepot config', () => {
  test('validate says that a file is valid, and what has no effect', async () => {
    const file = join(directory, 'good.yaml');
    const { code, out, err } = await command('config', 'validate', '-config', file);
    assert.equal(code, 0);
    assert.equal(err, '');
    assert.equal(
      out,
      `${file} is valid\n  note: ${file}:2:13  transport.force_http2: accepted without effect: upstreams are reached by HTTP/1.1\n`,
    );
  });

  test('validate names every certificate and key that cannot be used, where it is written', async () => {
    const [pem, file] = [join(directory, 'no.pem'), join(directory, 'tls.yaml')];
    await writeFile(pem, 'no certificate');
    await writeFile(
      file,
      [
        `listen: [{address: ':0', tls: {cert_file: ${pem}, key_file: ${pem}}}]`,
        `transport: {ca_file: ${pem}}`,
        'registries:',
        `  apps: {upstreams: [{url: 'https://localhost', tls: {cert_file: ${pem}, key_file: ${pem}}}]}`,
        `forward_proxy: {enabled: true, mitm: {enabled: true, ca_cert_file: ${pem}, ca_key_file: ${pem}}}`,
      ].join('\n'),
    );
    const { code, err } = await command('config', 'validate', '-c', file);
    assert.equal(code, 78);
    assert.match(err, /tls\.yaml:1:\d+ {2}listen\[0\]\.tls: No certificate in .*no\.pem: expected PEM/);
    assert.match(err, /tls\.yaml:2:\d+ {2}transport\.ca_file: .*no certificate of an authority/);
    assert.match(
      err,
      /tls\.yaml:4:\d+ {2}registries\.apps\.upstreams\[0\]\.tls\.key_file: .* holds no private key that can be read/,
    );
    assert.match(err, /tls\.yaml:4:\d+ {2}registries\.apps\.upstreams\[0\]\.tls\.cert_file: .*no certificate that can/);
    assert.match(err, /tls\.yaml:5:\d+ {2}forward_proxy\.mitm: /);
    assert.match(err, /The configuration has 5 problems/);
    assert.equal((await command('config', 'validate', '--no-references', '-c', file)).code, 0);
  });

  test('validate writes every problem to standard error and ends with 78', async () => {
    const { code, out, err } = await command(
      'config',
      'validate',
      '-c',
      join(directory, 'bad.yaml'),
      '--log-format',
      'morse',
    );
    assert.equal(code, 78);
    assert.equal(out, '');
    assert.match(err, /bad\.yaml:1:1 {2}lisen: unknown option; did you mean "listen"\?\n/);
    assert.match(err, /bad\.yaml:2:7 {2}log\.level: found "loud"/);
    assert.match(err, /--log-format {2}log\.format: found "morse"/);
    assert.match(err, /\nThe configuration has 3 problems\.\n$/);
  });

  test('print shows the effect of file and flags', async () => {
    const file = join(directory, 'good.yaml');
    const { code, out } = await command('config', 'print', '-c', file, '--log-level', 'warn');
    assert.equal(code, 0);
    assert.match(out, /^listen: :1 # .*good\.yaml:1:1$/m);
    assert.match(out, /^ {2}level: warn # --log-level$/m);
    const json = await command('config', 'print', '-c', file, '--json');
    assert.equal((JSON.parse(json.out) as { source: string }).source, file);
    assert.equal((await command('config', 'print', '-c', join(directory, 'bad.yaml'))).code, 78);
  });

  test('default and schema print what they are called', async () => {
    assert.match((await command('config', 'default')).out, /^listen: 127\.0\.0\.1:5000$/m);
    assert.equal((JSON.parse((await command('config', 'schema')).out) as { title: string }).title, 'entrepot');
  });
});

describe('main.ts', () => {
  const main = fileURLToPath(new URL('../main.ts', import.meta.url));
  const exec = (...argv: readonly string[]) =>
    new Promise<{ code: number | null; out: string; err: string }>((resolve) => {
      const child = execFile(process.execPath, [main, ...argv], (_, out, err) =>
        resolve({ code: child.exitCode, out, err }),
      );
    });

  test('turns the result into the exit code of the process', async () => {
    const good = await exec('config', 'validate', '-c', join(directory, 'good.yaml'));
    assert.deepEqual([good.code, good.err], [0, '']);
    assert.equal((await exec('config', 'validate', '-c', join(directory, 'bad.yaml'))).code, 78);
    assert.equal((await exec('nonsense')).code, 2);
  });

  test('fails where what was asked for cannot be written', { skip: !existsSync('/dev/full') }, async () => {
    const full = await open('/dev/full', 'w');
    try {
      for (const argv of [['config', 'default'], ['--help']]) {
        const child = spawn(process.execPath, [main, ...argv], { stdio: ['ignore', full.fd, 'pipe'] });
        const said = text(child.stderr as Readable);
        const [code] = (await once(child, 'close')) as [number];
        assert.equal(code, 1, argv.join(' '));
        assert.match(await said, /^Cannot write the output: ENOSPC/m);
      }
    } finally {
      await full.close();
    }
  });

  test('is content with a reader that has seen enough', async () => {
    const child = spawn(process.execPath, [main, 'config', 'default'], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    const said = text(child.stderr);
    const [code] = (await once(child, 'close')) as [number];
    assert.deepEqual([code, await said], [0, '']);
  });
});
