import assert from 'node:assert/strict';
import { once } from 'node:events';
import { chmod, mkdir, readFile } from 'node:fs/promises';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { dirname } from 'node:path';
import { Readable } from 'node:stream';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import bcrypt from 'bcryptjs';
import { setup } from '../../src/cli/commands/clients/setup.ts';
import { type DoctorOptions, type DoctorSurroundings, doctor } from '../../src/cli/commands/server/doctor.ts';
import type { Finding, FindingId } from '../../src/doctor/index.ts';
import { captureOutput } from '../support/capture-output.ts';
import { serve } from '../support/connect-upstreams.ts';
import { buildImage } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { freePort, Workspace } from '../support/processes.ts';
import { testPem } from '../support/raw-server.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// `entrepot doctor` before servers, upstreams, images and clients that are well, and that are not.

const SECRET = 'correct horse';

let workspace: Workspace;
before(async () => {
  workspace = await Workspace.open();
});
after(() => workspace.close());

interface Ran {
  readonly code: number;
  readonly findings: readonly Finding[];
  readonly out: string;
  readonly err: string;
}

type Asked = Partial<Omit<DoctorOptions, 'flags'>> & { readonly surroundings?: DoctorSurroundings };

let files = 0;
/** Runs the command beside a server of this configuration, which need not run. */
async function examine(config: object, { surroundings = {}, ...options }: Asked = {}): Promise<Ran> {
  const file = await workspace.file(`doctor-${++files}.yaml`, JSON.stringify(config));
  const { output, said: result } = captureOutput();
  const code = await doctor(
    { flags: { config: file }, json: true, timeout: '20s', ...options },
    {
      output,
      isTerminal: false,
      root: workspace.path('machine'),
      home: '/root',
      hasProgram: () => false,
      ...surroundings,
    },
  );
  assert.ok(!(result.out + result.err).includes(SECRET), 'a password was shown');
  const json = options.json === false || code === 2 || code === 130;
  const findings = json ? [] : (JSON.parse(result.out) as { findings: Finding[] }).findings;
  for (const { state, remedy, id } of findings) {
    if (state === 'failed' || state === 'warning') assert.ok(remedy !== undefined && remedy !== '', id);
  }
  return { code, findings, ...result };
}

function one({ findings, out }: Ran, id: FindingId, what?: string): Finding {
  const found = findings.filter((each) => each.id === id && (what === undefined || each.what === what));
  assert.equal(found.length, 1, `${found.length} findings ${id} in ${out}`);
  return found[0] as Finding;
}

function stateOf(ran: Ran, id: FindingId): string {
  return one(ran, id).state;
}

/** A configuration that leads to a running server, and its upstreams. */
function beside({ dir }: Pick<Mirror, 'dir'>, upstream: string | object): object {
  return { cache: { dir }, registries: { apps: { upstreams: [upstream] } } };
}

describe('a server that runs', () => {
  test('is well, with its disk, clock, upstream and canary', async (t) => {
    const upstream = await startScriptedUpstream({ personality: 'dockerHub' });
    t.after(() => upstream.stop());
    await using mirror = await startMirror({ registries: { apps: { upstreams: [upstream.url] } } });
    const ran = await examine(beside(mirror, upstream.url));
    for (const id of ['config.valid', 'server.running', 'server.address', 'server.ready'] as const) {
      assert.equal(stateOf(ran, id), 'ok', ran.out);
    }
    for (const id of ['disk.directory', 'disk.caching', 'clock.skew', 'upstream.reachable', 'canary.served'] as const) {
      assert.equal(stateOf(ran, id), 'ok', ran.out);
    }
    // The test's server says that it is another version than this checkout.
    assert.equal(stateOf(ran, 'server.version'), 'warning');
    assert.equal(ran.code, 0);
    const text = await examine(beside(mirror, upstream.url), { json: false });
    assert.match(text.out, /^Server\n {2}ok {3,}server .*process \d+/m);
    assert.match(text.out, /\n\d+ findings: nothing failed, 1 to look at\.\n$/);
  });

  test('with TLS: its certificate is judged by itself, and the canary is asked for', async () => {
    const pem = (name: string) => fileURLToPath(new URL(`../support/tls/${name}.pem`, import.meta.url));
    const tls = { cert_file: pem('server'), key_file: pem('server-key') };
    const registries = { apps: { upstreams: ['http://127.0.0.1:9'] } };
    await using mirror = await startMirror({ listen: [{ address: '127.0.0.1:0', tls }], registries });
    const ran = await examine(beside(mirror, 'http://127.0.0.1:9'));
    const certificate = one(ran, 'server.certificate');
    assert.deepEqual([certificate.state, stateOf(ran, 'canary.served')], ['warning', 'ok'], ran.out);
    assert.match(certificate.found, /this machine does not trust it/);
  });

  test('on a Unix socket alone is asked only there', async () => {
    const address = `unix:${workspace.path('only.sock')}`;
    await using mirror = await startMirror({
      listen: address,
      registries: { apps: { upstreams: ['http://127.0.0.1:9'] } },
    });
    const ran = await examine(beside(mirror, 'http://127.0.0.1:9'));
    assert.deepEqual([stateOf(ran, 'server.running'), stateOf(ran, 'server.address')], ['ok', 'skipped']);
    assert.match(one(ran, 'server.address').found, /only\.sock/);
  });

  test('with less room on its disk than it keeps free', async () => {
    await using mirror = await startMirror();
    const cache = { dir: mirror.dir, min_free: '1000TB' };
    const ran = await examine({ cache, registries: { apps: { upstreams: ['http://127.0.0.1:9'] } } });
    assert.deepEqual([stateOf(ran, 'disk.space'), ran.code], ['failed', 1]);
    assert.match(one(ran, 'disk.space').remedy ?? '', /max_size/);
  });

  test('tells what is dangerous in its configuration', async () => {
    await using mirror = await startMirror({
      listen: '0.0.0.0:0',
      registries: { apps: { upstreams: ['http://127.0.0.1:9'] } },
    });
    const ran = await examine(beside(mirror, 'http://127.0.0.1:9'));
    assert.equal(stateOf(ran, 'server.address'), 'ok');
    const { warnings = [] } = await mirror.app.status();
    assert.equal(ran.findings.filter(({ id }) => id === 'server.config').length, warnings.length);
  });
});

describe('a server with users and rules', () => {
  const PULL = { run: true, client: ['podman'] } as const;
  let mirror: Mirror;
  let upstream: ScriptedUpstream;
  before(async () => {
    const htpasswd = await workspace.file('htpasswd', `alice:${bcrypt.hashSync(SECRET, 4)}\n`);
    upstream = await startScriptedUpstream();
    upstream.add(buildImage({ seed: 'doctor access' }), 'private/app', ['latest']);
    mirror = await startMirror({
      registries: { apps: { upstreams: [upstream.url] } },
      public_url: 'https://mirror.example.com',
      access: { htpasswd, rules: [{ who: 'alice', may: ['pull'], on: ['apps/private/app'] }] },
    });
  });
  after(async () => {
    await mirror.stop();
    await upstream.stop();
  });

  const examineAs = (user: string | undefined, password = '', options: Asked = {}): Promise<Ran> =>
    examine(beside(mirror, upstream.url), {
      image: 'apps/private/app',
      ...(user !== undefined && { user, passwordStdin: true }),
      ...options,
      surroundings: { ...options.surroundings, stdin: Readable.from([password]) },
    });

  test('is asked as a client without a login: the canary is there, and an image of rules is not', async () => {
    const ran = await examineAs(undefined);
    assert.deepEqual([stateOf(ran, 'server.login'), stateOf(ran, 'canary.served')], ['ok', 'ok'], ran.out);
    assert.match(one(ran, 'image.server').found, /status 401/);
    assert.match(one(ran, 'image.server').remedy ?? '', /--user NAME --password-stdin/);
  });

  test('is asked as a user, whose password is shown nowhere', async () => {
    const ran = await examineAs('alice', `${SECRET}\n`);
    assert.equal(one(ran, 'server.login').found, 'alice is logged in');
    assert.deepEqual([stateOf(ran, 'image.server'), stateOf(ran, 'canary.served'), ran.code], ['ok', 'ok', 0], ran.out);
    assert.ok(!JSON.stringify(mirror.log).includes(SECRET));
  });

  test('refuses a wrong password', async () => {
    const ran = await examineAs('alice', 'wrong');
    assert.deepEqual([stateOf(ran, 'server.login'), ran.code], ['failed', 1]);
    assert.match(one(ran, 'server.login').remedy ?? '', /password/);
  });

  test('tells a client that was refused from one that never asked', async () => {
    // A client whose login is wrong: it asks, and takes the 401 for the end.
    const curl = await workspace.file(
      'refused/podman',
      `#!/bin/sh\ncase "$*" in *entrepot-canary*) for each; do tag=\${each##*:}; done;\n` +
        `curl --silent --output /dev/null ${mirror.url}/v2/library/entrepot-canary/manifests/$tag; echo unauthorized >&2; exit 1;; esac\n`,
    );
    await chmod(curl, 0o755);
    const path = process.env['PATH'];
    process.env['PATH'] = `${dirname(curl)}:${path}`;
    try {
      const ran = await examineAs(undefined, '', { ...PULL, surroundings: { hasProgram: () => true } });
      assert.match(one(ran, 'canary.pull').found, /it asked the server, which refused it: .*unauthorized/);
      assert.match(one(ran, 'canary.pull').remedy ?? '', /login/);
    } finally {
      process.env['PATH'] = path;
    }
  });

  // Linux takes 0.0.0.0 for this machine, and the command does not.
  test('at an address for which it makes no tokens says so', async () => {
    const htpasswd = workspace.path('htpasswd');
    await using other = await startMirror({ listen: '0.0.0.0:0', access: { htpasswd } });
    const url = `http://0.0.0.0:${new URL(other.url).port}`;
    const ran = await examine({}, { server: url });
    assert.match(one(ran, 'server.login').found, /no tokens at this address/);
  });

  test('is sent no password by plain HTTP, nor where the certificate is not trusted', async (t) => {
    const port = Number(new URL(mirror.url).port);
    const plain = await examine(
      {},
      {
        server: `http://0.0.0.0:${port}`,
        user: 'alice',
        passwordStdin: true,
        surroundings: { stdin: Readable.from([SECRET]) },
      },
    );
    assert.match(one(plain, 'server.login').found, /the password of alice was not sent: plain HTTP/);
    const seen: unknown[] = [];
    const fake = createServer({ cert: testPem('server'), key: testPem('server-key') }, (request, response) => {
      seen.push(request.headers.authorization);
      if (request.url === '/readyz') response.end('ok');
      else response.writeHead(401, { 'www-authenticate': 'Bearer realm="https://x/token"' }).end();
    });
    fake.listen(0);
    await once(fake, 'listening');
    t.after(() => fake.close());
    const ran = await examine(
      {},
      {
        server: `https://0.0.0.0:${(fake.address() as AddressInfo).port}`,
        user: 'alice',
        passwordStdin: true,
        surroundings: { stdin: Readable.from([SECRET]) },
      },
    );
    assert.equal(stateOf(ran, 'server.login'), 'failed', ran.out);
    assert.ok(seen.length > 0 && seen.every((header) => header === undefined), JSON.stringify(seen));
  });

  for (const [title, options, input, expected] of [
    ['a user without a password', { user: 'alice' }, '', /--user needs --password-stdin/],
    ['a password without a user', { passwordStdin: true }, 'x', /--password-stdin needs --user/],
    ['a name that is none', { user: 'a:b', passwordStdin: true }, 'x', /--user is no name/],
    ['an empty password', { user: 'alice', passwordStdin: true }, '\n', /standard input is empty/],
    ['a file', { user: 'alice', passwordStdin: true }, 'x'.repeat(5000), /more than 4096 bytes/],
  ] as const) {
    test(`refuses ${title} on the command line`, async () => {
      const ran = await examine({}, { ...options, surroundings: { stdin: Readable.from([input]) } });
      assert.equal(ran.code, 2);
      assert.match(ran.err, expected);
    });
  }
});

describe('a server that does not run', () => {
  test('is told so, at its address too, and nothing is proved', async () => {
    const port = await freePort();
    const config = { listen: `127.0.0.1:${port}`, cache: { dir: workspace.path('nowhere') }, registries: {} };
    const ran = await examine(
      { ...config, registries: { apps: { upstreams: ['http://127.0.0.1:9'] } } },
      {
        run: true,
        client: ['podman'],
      },
    );
    assert.equal(ran.code, 1);
    assert.match(one(ran, 'server.running').remedy ?? '', /entrepot serve/);
    assert.deepEqual([stateOf(ran, 'server.address'), stateOf(ran, 'disk.directory')], ['failed', 'skipped']);
    assert.deepEqual([stateOf(ran, 'canary.pull'), one(ran, 'canary.pull').what], ['skipped', 'podman']);
  });

  test('elsewhere, too', async () => {
    const ran = await examine({}, { server: `http://127.0.0.1:${await freePort()}` });
    assert.deepEqual([ran.code, stateOf(ran, 'server.address')], [1, 'failed']);
    assert.equal(ran.findings.filter(({ id }) => id.startsWith('upstream.') || id.startsWith('disk.')).length, 0);
  });

  test('or something else that answers in its place', async () => {
    await using site = await serve((_, response) => void response.writeHead(200).end('hello'));
    const ran = await examine({}, { server: site.url });
    assert.deepEqual([ran.code, stateOf(ran, 'canary.served')], [1, 'failed']);
  });
});

test('a wrong configuration is a finding for each problem, and ends with 78', async () => {
  const ran = await examine({ lisen: ':1', log: { level: 'loud' }, cache: { dir: workspace.path('x') } });
  assert.equal(ran.code, 78);
  assert.equal(ran.findings.filter(({ id, state }) => id === 'config.valid' && state === 'failed').length, 2);
  assert.equal(stateOf(ran, 'server.running'), 'failed');
});

describe('an upstream', () => {
  const rows: readonly (readonly [
    what: string,
    upstream: () => Promise<{ readonly url: string; stop(): Promise<unknown> }>,
    id: FindingId,
    found: RegExp,
    remedy: RegExp,
  ])[] = [
    [
      'whose name does not resolve',
      async () => at('http://nothing.invalid'),
      'upstream.dns',
      /does not resolve/,
      /dns/,
    ],
    [
      'that refuses',
      async () => at(`http://127.0.0.1:${await freePort()}`),
      'upstream.tcp',
      /cannot be reached/,
      /port/,
    ],
    ['whose certificate is of an unknown authority', tlsSite, 'upstream.tls', /does not trust/, /ca_file/],
    ['that refuses the login', () => refusing(401), 'upstream.http', /401/, /registry/],
    [
      'that blocks by policy',
      () => refusing(403, { 'x-amzn-waf-action': 'captcha' }),
      'upstream.http',
      /blocked by .*AWS/,
      /address/,
    ],
    ['that fails', () => refusing(503), 'upstream.http', /503/, /operator/],
  ];
  for (const [what, start, id, found, remedy] of rows) {
    test(what, async (t) => {
      const upstream = await start();
      t.after(() => upstream.stop());
      await using mirror = await startMirror();
      const ran = await examine(beside(mirror, upstream.url), { timeout: '10s' });
      const finding = one(ran, id, 'apps');
      assert.match(finding.found, found);
      assert.match(finding.remedy ?? '', remedy);
      assert.equal(ran.code, finding.state === 'failed' ? 1 : 0);
    });
  }

  test('that refuses a credential', async (t) => {
    const credentials = { username: 'ada', password: SECRET };
    const upstream = await startScriptedUpstream({ personality: 'dockerHub', credentials });
    t.after(() => upstream.stop());
    await using mirror = await startMirror();
    const wrong = { ...credentials, password: `not ${SECRET}` };
    const ran = await examine(beside(mirror, { url: upstream.url, credentials: wrong }));
    assert.deepEqual([stateOf(ran, 'upstream.token'), ran.code], ['failed', 1]);
    assert.match(one(ran, 'upstream.token').remedy ?? '', /credential/);
  });

  test('that is silent, in the time that is given', async (t) => {
    const upstream = await startScriptedUpstream();
    t.after(() => upstream.stop());
    const gate = upstream.hold(/./);
    t.after(() => gate.open());
    await using mirror = await startMirror();
    const ran = await examine(beside(mirror, upstream.url), { timeout: '1s' });
    assert.match(one(ran, 'upstream.http').found, /did not finish within the time/);
  });

  test('whose clock is another one', async () => {
    const date = new Date(Date.now() + 3_600_000).toUTCString();
    await using site = await serve((_, response) => void response.writeHead(200, { date }).end());
    await using mirror = await startMirror();
    const ran = await examine(beside(mirror, site.url));
    const { found, state } = one(ran, 'clock.skew');
    assert.match(found, /^3(?:599|600|601) s behind/);
    assert.deepEqual([state, ran.code], ['failed', 1]);
  });
});

describe('an image', () => {
  test('that can be pulled: its name, the server, each step at its upstream', async (t) => {
    const upstream = await startScriptedUpstream({ personality: 'dockerHub' });
    t.after(() => upstream.stop());
    const image = buildImage({ seed: 'well' });
    upstream.add(image, 'team/app', ['1']);
    await using mirror = await startMirror({ registries: { apps: { upstreams: [upstream.url] } } });
    const ran = await examine(beside(mirror, upstream.url), { image: 'apps/team/app:1' });
    for (const id of ['image.name', 'image.server', 'image.manifest', 'image.platform', 'image.blob'] as const) {
      assert.equal(stateOf(ran, id), 'ok', ran.out);
    }
    assert.match(one(ran, 'image.name').found, /^is apps\/team\/app:1, fetched from 127\.0\.0\.1/);
    assert.ok(one(ran, 'image.server').found.includes(image.index.digest));
    assert.equal(ran.code, 0);
    assert.deepEqual(upstream.leaks(), []);
  });

  test('that no upstream has', async (t) => {
    const upstream = await startScriptedUpstream();
    t.after(() => upstream.stop());
    await using mirror = await startMirror({ registries: { apps: { upstreams: [upstream.url] } } });
    const ran = await examine(beside(mirror, upstream.url), { image: 'apps/team/missing' });
    assert.deepEqual([stateOf(ran, 'image.server'), stateOf(ran, 'image.manifest'), ran.code], ['failed', 'failed', 1]);
    assert.match(one(ran, 'image.manifest').remedy ?? '', /does not have it/);
  });

  test('that only the second upstream has', async (t) => {
    const [hot, cold] = [await startScriptedUpstream(), await startScriptedUpstream()];
    t.after(() => Promise.all([hot.stop(), cold.stop()]));
    cold.add(buildImage({ seed: 'cold' }), 'team/app', ['1']);
    await using mirror = await startMirror();
    const upstreams = [
      { url: hot.url, name: 'hot' },
      { url: cold.url, name: 'cold' },
    ];
    const config = { cache: { dir: mirror.dir }, registries: { apps: { upstreams } } };
    const ran = await examine(config, { image: 'apps/team/app:1' });
    const manifests = ran.findings.filter(({ id }) => id === 'image.manifest');
    assert.deepEqual(
      manifests.map(({ what, state }) => [what, state]),
      [
        ['apps/team/app:1 at apps (hot)', 'ok'],
        ['apps/team/app:1 at apps (cold)', 'ok'],
      ],
    );
    assert.match(manifests[0]?.found ?? '', /404; another upstream has it$/);
  });

  const names: readonly (readonly [image: string, found: RegExp])[] = [
    ['UPPER/case', /lower case/],
    ['apps/team/*', /pattern/],
    ['nowhere.example/team/app', /knows no registry nowhere\.example/],
  ];
  for (const [image, found] of names) {
    test(`with a name that cannot be pulled: ${image}`, async () => {
      await using mirror = await startMirror();
      const ran = await examine(beside(mirror, 'http://127.0.0.1:9'), { image });
      assert.match(one(ran, 'image.name').found, found);
      assert.equal(ran.code, 1);
    });
  }
});

describe('the clients of the machine', () => {
  test('are set up, and then name the server', async () => {
    const root = workspace.path('clients');
    await using mirror = await startMirror();
    const output = { out: () => undefined, err: () => undefined };
    const asked = { server: mirror.url, client: ['podman'], surroundings: { root } };
    const before = one(await examine({}, asked), 'client.config');
    assert.deepEqual(
      [before.state, before.remedy?.includes(`entrepot setup podman --server ${mirror.url}`)],
      ['warning', true],
    );
    await mkdir(root, { recursive: true });
    await setup({ flags: {}, client: 'podman', server: mirror.url, root, apply: true }, { output, home: '/root' });
    const after = one(await examine({}, asked), 'client.config');
    assert.equal(after.state, 'ok', after.found);
    assert.match(after.found, /entrepot\.conf/);
  });

  test('of which none is set up prove nothing', async () => {
    await using mirror = await startMirror();
    const ran = await examine({}, { server: mirror.url, run: true });
    assert.deepEqual([stateOf(ran, 'canary.pull'), ran.code], ['failed', 1]);
    assert.match(one(ran, 'canary.pull').remedy ?? '', /--client NAME/);
  });

  test('are not guessed at', async () => {
    const ran = await examine({}, { client: ['dokcer'] });
    assert.equal(ran.code, 2);
    assert.match(ran.err, /expected docker, containerd/);
  });
});

describe('the canary', () => {
  test('is awaited, and a pull that a person starts is seen', async () => {
    await using mirror = await startMirror();
    const pulls: Promise<unknown>[] = [];
    const ran = await examine(
      {},
      {
        server: mirror.url,
        wait: true,
        client: ['podman', 'buildkit'],
        surroundings: {
          output: {
            out: (text) => (shown += text),
            err: (text) => {
              const tag = /entrepot-canary:(doctor-[0-9a-f]+)/.exec(text)?.[1];
              const path = `/v2/library/entrepot-canary/manifests/${tag}?ns=docker.io`;
              if (tag !== undefined) pulls.push(mirror.head(path, { 'user-agent': 'someone/1' }));
            },
          },
        },
        json: false,
      },
    );
    await Promise.all(pulls);
    assert.equal(ran.code, 0, shown);
    assert.match(
      shown,
      /podman .*its pull came to the server, from 127\.0\.0\.1 \(someone\/1\): docker\.io, named by \?ns=/,
    );
    assert.match(shown, /buildkit .*its pull came/);
  });
  let shown = '';

  test('does not come in time', async () => {
    await using mirror = await startMirror();
    const ran = await examine({}, { server: mirror.url, wait: true, client: ['podman'], timeout: '300ms' });
    assert.deepEqual([ran.code, stateOf(ran, 'canary.pull')], [1, 'failed']);
    assert.match(one(ran, 'canary.pull').remedy ?? '', /entrepot setup podman --server http/);
    assert.match(
      ran.err,
      /^Pull with: podman pull --quiet docker\.io\/library\/entrepot-canary:doctor-|buildx|kubectl/,
    );
  });

  test('is interrupted while it waits', async () => {
    await using mirror = await startMirror();
    const stop = new AbortController();
    setTimeout(() => stop.abort(), 300);
    const surroundings = { interrupt: stop.signal };
    const ran = await examine({}, { server: mirror.url, wait: true, client: ['podman'], surroundings });
    assert.equal(ran.code, 130);
  });
});

test('a wrong command line ends with 2', async () => {
  for (const options of [{ timeout: 'soon' }, { run: true, wait: true }, { server: 'mirror' }]) {
    assert.equal((await examine({}, options)).code, 2);
  }
});

test('writes nothing beside a server', async () => {
  const dir = workspace.path('untouched');
  await mkdir(dir);
  const file = await workspace.file('untouched/note', 'x');
  await examine({ cache: { dir }, registries: { apps: { upstreams: ['http://127.0.0.1:9'] } } });
  assert.equal(await readFile(file, 'utf8'), 'x');
});

const at = (url: string) => ({ url, stop: () => Promise.resolve() });

async function refusing(status: number, headers: Readonly<Record<string, string>> = {}) {
  const site = await serve((_, response) => void response.writeHead(status, headers).end());
  return { url: site.url, stop: async () => await site[Symbol.asyncDispose]() };
}

/** A site whose certificate is signed by an authority of the tests. */
async function tlsSite() {
  const server = createServer({ key: testPem('server-key'), cert: testPem('server') }, (_, response) => {
    response.writeHead(200).end();
  });
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `https://localhost:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.closeAllConnections();
      await once(server.close(), 'close');
    },
  };
}
