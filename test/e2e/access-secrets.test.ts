import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { chmod, readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import bcrypt from 'bcryptjs';
import { startApp } from '../../src/app/app.ts';
import { loadConfig } from '../../src/config/index.ts';
import { createLog } from '../../src/telemetry/index.ts';
import { ENTREPOT, type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { type Collector, startCollector } from '../support/collector.ts';
import { buildImage, content, noise } from '../support/image.ts';
import { type ScriptedOutboundProxy, startOutboundProxy } from '../support/outbound-proxies.ts';
import { freePort, type RunResult, run, Workspace } from '../support/processes.ts';
import { type RawRequest, type RawResponse, rawRequest } from '../support/raw-request.ts';
import { testPem } from '../support/raw-server.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// A secret of its own in every place that can hold one; then everything that can go wrong goes wrong, and none is found in what
// the server says, answers and keeps.

/** A text that stands for one place and is found in no other. Letters and digits: it is one word in every encoding. */
const secretOf = (place: string): string => `c4nary${createHash('sha256').update(place).digest('hex').slice(0, 18)}`;

/** The places, each with its secret. */
const S = {
  upstreamPassword: secretOf('password of an upstream, in the configuration'),
  envPassword: secretOf('password of an upstream, in the environment'),
  filePassword: secretOf('password of an upstream, in a file'),
  helperPassword: secretOf('password that a credential helper gives'),
  failingHelper: secretOf('what a credential helper says when it fails'),
  upstreamHeader: secretOf('header of an upstream'),
  routePassword: secretOf('password of a mirror route'),
  routeHeader: secretOf('header of a mirror route'),
  outboundProxy: secretOf('password of the outbound proxy'),
  forwardProxy: secretOf('password of the forward proxy'),
  alice: secretOf('password of a user'),
  traceHeader: secretOf('header for the collector of traces'),
  acmeKey: secretOf('key of the account at an ACME authority'),
  environment: secretOf('another variable of the environment'),
  wrongPassword: secretOf('wrong password of a client'),
  hubPassword: secretOf('password of Docker Hub that a client sends'),
  formPassword: secretOf('password in a form for a token'),
  bearer: secretOf('token of another server'),
  proxyAuthorization: secretOf('login of a client of the forward proxy'),
  cookie: secretOf('cookie of a client'),
  clientQuery: secretOf('query of a client'),
  registryAuth: secretOf('header of a Docker client'),
  redirectQuery: secretOf('signature of a redirect'),
  redirectUser: secretOf('password in a redirect'),
  realmUser: secretOf('password in the realm of an upstream'),
  echoed: secretOf('what an upstream says in an error'),
  upstreamCookie: secretOf('cookie of an upstream'),
  misplaced: secretOf('password in a wrong place of a configuration'),
  plainHtpasswd: secretOf('plain text in an htpasswd file'),
} as const;

/** Every way in which a text may be written down. */
function spellings(secret: string): readonly string[] {
  // Base64 of it behind 0, 1 and 2 other bytes, without the characters that its neighbours have a part in.
  const encoded = [0, 1, 2].map((offset) => {
    const whole = Buffer.from(`${'x'.repeat(offset)}${secret}`)
      .toString('base64')
      .replace(/=+$/, '');
    return whole.slice(offset === 0 ? 0 : 4, -4);
  });
  return [secret, ...encoded, Buffer.from(secret).toString('hex')];
}

const image = buildImage({ seed: 'secrets', architectures: ['amd64'] });

let workspace: Workspace;
let hub: ScriptedUpstream;
let own: ScriptedUpstream;
let collector: Collector;
let proxy: ScriptedOutboundProxy;
let running: RunningEntrepot;
/** What was said, by where. */
const said: { readonly where: string; readonly text: string }[] = [];
/** Secrets that are made as the test runs: tokens, signatures, a key, a hash. */
const made = new Map<string, string>();

const basic = (name: string, password: string): string =>
  `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`;
const hear = (where: string, text: string): void => void said.push({ where, text });
const hearRun = (where: string, { stdout, stderr }: RunResult): void => hear(where, stdout + stderr);

let asked = 0;
async function ask(request: RawRequest): Promise<RawResponse> {
  const answer = await rawRequest(running.host, request);
  hear(
    `answer ${(asked += 1)} to ${request.method ?? 'GET'} ${request.path.slice(0, 60)}`,
    JSON.stringify(answer.headers) + answer.body.toString('latin1'),
  );
  return answer;
}

const HOSTILE: Readonly<Record<string, string>> = {
  cookie: `session=${S.cookie}`,
  'x-registry-auth': S.registryAuth,
  referer: `http://a.example/?token=${S.clientQuery}`,
};

const environment = (): NodeJS.ProcessEnv => ({
  ...process.env,
  PATH: `${workspace.path('bin')}:${process.env['PATH']}`,
  UPSTREAM_PASSWORD: S.envPassword,
  FORWARD_PASSWORD: S.forwardProxy,
  AWS_SECRET_ACCESS_KEY: S.environment,
});

/** Runs a command beside the server, or without one. */
async function command(where: string, ...args: readonly string[]): Promise<RunResult> {
  const env = { ...environment(), HOME: workspace.dir, NODE_NO_WARNINGS: '1' };
  const result = await run(['sh', ENTREPOT, ...args], { env, timeout: 60_000 });
  hearRun(where, result);
  return result;
}

before(async () => {
  workspace = await Workspace.open();
  hub = await startScriptedUpstream({
    personality: 'dockerHub',
    credentials: { username: 'robot', password: S.upstreamPassword },
    anonymous: false,
  });
  own = await startScriptedUpstream({ personality: 'plain' });
  workspace.defer(() => Promise.all([hub.stop(), own.stop()]));
  for (const each of [hub, own]) each.add(image, 'team/app', ['latest']);
  collector = await startCollector();
  proxy = await startOutboundProxy({ kind: 'http', refuse: 407 });
  workspace.defer(() => Promise.all([collector[Symbol.asyncDispose](), proxy.close()]));
  const hash = bcrypt.hashSync(S.alice, 4);
  made.set('the hash of a password', hash.slice(7));
  const htpasswd = await workspace.file('htpasswd', `alice:${hash}\n`);
  for (const [name, script] of [
    ['good', `echo '{"Username":"helper","Secret":"${S.helperPassword}"}'`],
    ['bad', `echo ${S.failingHelper}; echo ${S.failingHelper} >&2; exit 1`],
  ] as const) {
    await chmod(await workspace.file(`bin/docker-credential-${name}`, `#!/bin/sh\ncat >/dev/null\n${script}\n`), 0o755);
  }
  const key = testPem('server-key');
  made.set('the key of a certificate', key.split('\n')[1] ?? '');
  made.set('the key of a client certificate', testPem('client-key').split('\n')[1] ?? '');
  const upstream = (credentials: unknown, more: object = {}) => ({
    upstreams: [{ url: own.url, credentials, ...more }],
  });
  const dead = `http://127.0.0.1:${await freePort()}`;
  running = await startEntrepot(
    workspace,
    {
      listen: [
        '127.0.0.1:0',
        {
          address: '127.0.0.1:0',
          tls: {
            cert_file: await workspace.file('server.pem', testPem('server')),
            key_file: await workspace.file('server-key.pem', key),
          },
        },
        {
          address: '127.0.0.1:0',
          tls: {
            acme: {
              domains: ['mirror.example.com'],
              server: `${dead.replace('http:', 'https:')}/directory`,
              eab: { key_id: 'k', hmac_key: S.acmeKey },
            },
          },
        },
      ],
      log: { level: 'debug', format: 'json' },
      default_registry: 'hub.example',
      registries: {
        'hub.example': {
          upstreams: [{ url: hub.url, credentials: { username: 'robot', password: S.upstreamPassword } }],
        },
        'env.example': upstream({ username: 'u', password: { env: 'UPSTREAM_PASSWORD' } }),
        'file.example': upstream({
          username: 'u',
          password: { file: await workspace.file('password', S.filePassword) },
        }),
        'helper.example': upstream({ helper: 'good' }),
        'bad-helper.example': upstream({ helper: 'bad' }),
        'header.example': upstream(undefined, { headers: { 'X-Api-Key': S.upstreamHeader } }),
        'proxy.example': {
          upstreams: [
            {
              url: 'http://registry.invalid',
              transport: { outbound_proxy: `http://robot:${S.outboundProxy}@127.0.0.1:${proxy.port}` },
            },
          ],
        },
        'mtls.example': {
          upstreams: [
            {
              url: `https://127.0.0.1:${new URL(dead).port}`,
              tls: {
                cert_file: await workspace.file('client.pem', testPem('client')),
                key_file: await workspace.file('client-key.pem', testPem('client-key')),
              },
            },
          ],
        },
        'dead.example': {
          upstreams: [{ url: dead, credentials: { username: 'robot', password: S.upstreamPassword } }],
        },
      },
      mirrors: [
        {
          name: 'site',
          prefix: '/site',
          upstream: own.url,
          credentials: { username: 'robot', password: S.routePassword },
          headers: { 'X-Route-Key': S.routeHeader },
        },
        {
          name: 'away',
          prefix: '/away',
          upstream: dead,
          credentials: { username: 'robot', password: S.routePassword },
        },
      ],
      forward_proxy: {
        enabled: true,
        user: 'robot',
        password: { env: 'FORWARD_PASSWORD' },
        allowed_hosts: ['127.0.0.1'],
        allow_private: ['127.0.0.1'],
      },
      tracing: { endpoint: collector.url, headers: { Authorization: `Bearer ${S.traceHeader}` } },
      access: {
        htpasswd,
        rules: [
          { who: 'anonymous', may: ['pull'], on: ['*.example/team/open'] },
          {
            who: ['alice', 'robot'],
            may: ['pull', 'catalog', 'status', 'proxy'],
            on: ['**', 'mirror:site/**', 'mirror:away/**'],
          },
        ],
      },
    },
    { env: environment() },
  );
});
after(() => workspace.close());

const alice = { authorization: basic('alice', S.alice) };
const manifestOf = (registry: string, reference = 'latest'): string =>
  `/v2/${registry}/team/app/manifests/${reference}`;

/** Clients that show what they should not, and logins that fail. */
async function sendSecrets(): Promise<void> {
  const open = '/token?scope=repository:hub.example/team/open:pull';
  await ask({ path: open, headers: { ...HOSTILE, authorization: basic('hub', S.hubPassword) } });
  await ask({ path: '/v2/', headers: { ...HOSTILE, authorization: basic('alice', S.wrongPassword) } });
  await ask({ path: '/token', headers: { ...HOSTILE, authorization: basic(S.wrongPassword, S.wrongPassword) } });
  for (let guess = 0; guess < 8; guess += 1)
    await ask({ path: '/v2/', headers: { authorization: basic('carol', `${S.wrongPassword}${guess}`) } });
  await ask({ path: '/v2/', headers: { ...HOSTILE, authorization: `Bearer ${S.bearer}` } });
  await ask({ path: `${manifestOf('hub.example')}?token=${S.clientQuery}`, headers: { ...HOSTILE } });
  await ask({ path: `/nothing?token=${S.clientQuery}`, headers: { ...HOSTILE, ...alice } });
  await ask({
    path: `/site/v2/?token=${S.clientQuery}`,
    headers: { ...HOSTILE, authorization: basic('alice', S.wrongPassword) },
  });
  const form = `grant_type=password&username=alice&password=${S.formPassword}`;
  const headers = { 'content-type': 'application/x-www-form-urlencoded', 'content-length': String(form.length) };
  await ask({ method: 'POST', path: '/token', headers, body: form });
  for (const path of [`http://${own.host}/v2/`, 'http://registry.invalid/v2/']) {
    await ask({ path, headers: { 'proxy-authorization': basic('robot', S.proxyAuthorization) } });
    await ask({ path, headers: { 'proxy-authorization': `Bearer ${S.proxyAuthorization}` } });
    await ask({ path, headers: { 'proxy-authorization': basic('robot', S.forwardProxy), ...HOSTILE } });
  }
  const { body } = await rawRequest(running.host, { path: '/token', headers: alice });
  const { token } = JSON.parse(body.toString()) as { token: string };
  made.set('a token of this server', token.split('.')[2] ?? '');
  await ask({ path: manifestOf('hub.example'), headers: { ...HOSTILE, authorization: `Bearer ${token}` } });
  await ask({ path: manifestOf('hub.example'), headers: { authorization: `Bearer ${token}x` } });
}

/** Pulls of everything, from upstreams that are well and that fail in every way. */
async function pullAll(): Promise<void> {
  const hostile = { ...HOSTILE, ...alice };
  for (const registry of ['hub', 'env', 'file', 'helper', 'bad-helper', 'header', 'proxy', 'mtls', 'dead']) {
    await ask({ path: manifestOf(`${registry}.example`), headers: hostile });
    await ask({ path: `/v2/${registry}.example/team/app/tags/list`, headers: hostile });
  }
  for (const blob of image.blobs)
    await ask({ path: `/v2/hub.example/team/app/blobs/${blob.digest}`, headers: hostile });
  await ask({ path: `/site/v2/team/app/tags/list?token=${S.clientQuery}`, headers: hostile });
  await ask({ path: '/away/x', headers: hostile });
  const location = `ftp://robot:${S.redirectUser}@127.0.0.1/x?X-Amz-Signature=${S.redirectQuery}`;
  const elsewhere = `http://127.0.0.1:1/x?X-Amz-Signature=${S.redirectQuery}`;
  const body = `{"errors":[{"code":"X","message":"${S.echoed}","detail":"${S.upstreamPassword}"}]}`;
  const faults = [
    { status: 302, headers: { location } },
    { status: 307, headers: { location: elsewhere } },
    {
      status: 401,
      headers: {
        'www-authenticate': `Bearer realm="http://robot:${S.realmUser}@127.0.0.1/token",service="${S.echoed}"`,
      },
      body,
    },
    {
      status: 401,
      headers: { 'www-authenticate': `Bearer realm="http://127.0.0.1:1/token?key=${S.realmUser}"` },
      body,
    },
    { status: 401, headers: { 'www-authenticate': `Basic realm="${S.echoed}"` }, body },
    { status: 403, headers: { 'set-cookie': `a=${S.upstreamCookie}`, 'x-echo': S.echoed }, body },
    { status: 404, body },
    { status: 429, headers: { 'retry-after': S.echoed }, body },
    { status: 500, body },
    { status: 200, headers: { 'content-type': S.echoed, 'docker-content-digest': S.echoed }, body },
    { status: 200, headers: { 'content-length': null }, body: `${S.echoed} is no JSON` },
    { reset: true },
  ];
  for (const upstream of [hub, own]) {
    const registry = upstream === hub ? 'hub.example' : 'file.example';
    for (const [at, fault] of faults.entries()) {
      for (const where of ['registry', 'token', 'cdn'] as const) {
        const blob = content('application/octet-stream', noise(`${registry} ${at} ${where}`, 1000));
        upstream.addBlob('team/app', blob);
        if (where === 'token' && upstream === hub) upstream.revokeTokens();
        const heal = upstream.fault({ at: where }, fault);
        await ask({ path: `/v2/${registry}/team/app/blobs/${blob.digest}`, headers: hostile });
        await ask({ path: manifestOf(registry, `tag-${at}-${where}`), headers: hostile });
        await ask({ path: `/v2/${registry}/team/app/referrers/${blob.digest}`, headers: hostile });
        if (upstream === own) {
          // What a site says is for those who may ask it: the answer is not searched, and the log of it is.
          const path = `/site/v2/team/app/tags/list?${at}${where}&token=${S.clientQuery}`;
          await rawRequest(running.host, { path, headers: hostile });
        }
        heal();
      }
    }
  }
  for (const { headers, url } of [...hub.requests, ...own.requests]) {
    const token = /^Bearer (\S+)/.exec(headers['authorization'] ?? '')?.[1];
    if (token !== undefined) made.set(`a token of an upstream: ${token.slice(0, 4)}`, token);
    const signature = /X-Amz-Signature=([^&]{16,})/.exec(url)?.[1];
    if (signature !== undefined && signature !== S.redirectQuery)
      made.set(`a signature: ${signature.slice(0, 4)}`, signature);
  }
}

/** What the server shows of itself. */
async function look(): Promise<void> {
  for (const path of [
    '/',
    '/help',
    '/metrics',
    '/healthz',
    '/readyz',
    '/v2/_catalog',
    '/canary/x',
    '/api/v1/x',
    '/ui/',
  ])
    for (const accept of ['text/html', 'application/json']) await ask({ path, headers: { accept, ...alice } });
}

/** Each command that reads the configuration or asks the server. */
async function runCommands(): Promise<void> {
  const names = await readdir(workspace.dir);
  const config = workspace.path(names.find((name) => /^entrepot-.*\.yaml$/.test(name)) ?? '');
  const image = 'hub.example/team/app';
  for (const args of [
    ['status', '--json'],
    ['doctor', '--json', '--timeout', '5s'],
    ['doctor', image, '--timeout', '5s'],
    ['check', '--json', '--timeout', '3s'],
    ['config', 'validate'],
    ['config', 'print'],
    ['access', 'explain', 'alice', 'pull', image],
    ['reload'],
    ['refresh', image],
    ['purge', 'hub.example/team/none'],
  ]) {
    await command(args.join(' '), ...args, '--config', config);
  }
}

/** Configurations with a secret where none belongs, or where it is not understood. */
async function misconfigure(): Promise<void> {
  const x = S.misplaced;
  const texts = [
    `registries: {a.b: {upstreams: [{url: "https://u:${x}@a.b"}]}}`,
    `registries: {a.b: {upstreams: [{url: "https://a.b/?key=${x}"}]}}`,
    `registries: {a.b: {upstreams: [{url: https://a.b, credentials: "u:${x}"}]}}`,
    `registries: {a.b: {upstreams: [{url: https://a.b, credentials: {username: u, password: [${x}]}}]}}`,
    `registries: {a.b: {upstreams: [{url: https://a.b, credentials: {username: u, password: {text: ${x}}}}]}}`,
    `registries: {a.b: {upstreams: [{url: https://a.b, credentials: {username: u, pasword: ${x}}}]}}`,
    `registries: {a.b: {upstreams: [{url: https://a.b, password: ${x}}]}}`,
    `registries: {a.b: {upstreams: [{url: https://a.b, headers: {Authorization: [${x}]}}]}}`,
    `registries: {a.b: {upstreams: [{url: https://a.b, headers: {"X Y": ${x}}}]}}`,
    `registries: {a.b: {upstreams: [{url: https://a.b, headers: {Authorization: "a\\n${x}"}}]}}`,
    `transport: {outbound_proxy: "ftp://u:${x}@proxy"}`,
    `transport: {outbound_proxy: "http://u:${x}@[bad"}`,
    `transport: {outbound_proxy: "u:${x}@proxy:3128"}`,
    `forward_proxy: {enabled: true, user: "u:${x}"}`,
    `forward_proxy: {enabled: true, user: u, password: {env: [${x}]}}`,
    `tracing: {endpoint: "https://u:${x}@collector"}`,
    `tracing: {endpoint: "https://collector/?key=${x}"}`,
    `tracing: {headers: {Authorization: {value: ${x}}}}`,
    `public_url: "https://u:${x}@mirror"`,
    `public_url: [https://a, "https://u:${x}@mirror"]`,
    `registry_map: "https://u:${x}@maps.example/map.json"`,
    `default_registry: "https://u:${x}@a.b"`,
    `mirrors: [{name: a, prefix: /a, upstream: "https://u:${x}@a.b"}]`,
    `mirrors: [{name: a, prefix: /a, upstream: https://a.b, credentials: ${x}}]`,
    `listen: [{address: ":0", tls: {acme: {domains: [a.b], eab: {key_id: k, hmac_key: [${x}]}}}}]`,
    `listen: [{address: ":0", tls: {cert_file: a, key: ${x}}}]`,
    `access: {htpasswd: HTPASSWD}`,
    `registries: {a.b: {upstreams: [{url: https://a.b, credentials: {username: u, password: "${x}}}]}}`,
    `registries:\n  a.b:\n    upstreams:\n    - url: https://a.b\n      credentials: {username: u, password: ${x}\n   bad`,
    `password: "${x}"`,
    `{"registries": {"a.b": {"upstreams": [{"credentials": {"password": "${x}"}}]}`,
  ];
  const htpasswd = await workspace.file(
    'bad-htpasswd',
    `alice:${S.plainHtpasswd}\n${S.plainHtpasswd}\nbob:$apr1$${S.plainHtpasswd}\n`,
  );
  for (const [at, text] of texts.entries()) {
    const file = await workspace.file(`bad-${at}.yaml`, text.replace('HTPASSWD', htpasswd));
    const loading = loadConfig({ flags: { config: file }, env: environment(), cwd: workspace.dir });
    const error = await loading
      .then(
        // What a file of users has is read at the start.
        async (loaded) =>
          startApp(loaded, {
            log: createLog({
              level: 'debug',
              stream: { write: (line: string) => hear(`log of configuration ${at}`, line) },
            }),
            version: '0',
            load: () => loading,
          }),
        (fault: unknown) => fault,
      )
      .catch((fault: unknown) => fault);
    assert.ok(error instanceof Error, `configuration ${at} is accepted`);
    hear(`problems of configuration ${at}`, `${error.message}\n${error.stack}\n${JSON.stringify(error)}`);
  }
  for (const at of [2, 26, 27]) {
    const config = ['--config', workspace.path(`bad-${at}.yaml`)];
    await command(`serve with configuration ${at}`, 'serve', ...config, '--cache-dir', workspace.path('none'));
    await command(`doctor with configuration ${at}`, 'doctor', ...config);
  }
  // The running server reads its own file: a change that it refuses.
  const names = await readdir(workspace.dir);
  const config = workspace.path(names.find((name) => /^entrepot-.*\.yaml$/.test(name)) ?? '');
  const good = await readFile(config, 'utf8');
  await writeFile(config, good.replace(`"password": "${S.upstreamPassword}"`, `"password": ["${S.upstreamPassword}"]`));
  await command('reload of a wrong configuration', 'reload', '--config', config);
  await writeFile(config, good.replace('{', `{ "nonsense": "${x}",`));
  await command('reload of an unknown option', 'reload', '--config', config);
  await writeFile(config, good);
  await command('reload of the right one', 'reload', '--config', config);
}

async function hearFiles(): Promise<void> {
  const entries = await readdir(running.dir, { recursive: true, withFileTypes: true });
  for (const entry of entries) {
    if (!entry.isFile()) continue;
    const path = join(entry.parentPath, entry.name);
    hear(`file ${path.slice(running.dir.length)}`, (await readFile(path)).toString('latin1'));
  }
}

describe('a secret in every place that can hold one', () => {
  before(async () => {
    await sendSecrets();
    await pullAll();
    await look();
    await runCommands();
    collector.mood = 401;
    await look();
    await misconfigure();
    collector.mood = 'well';
    await ask({ path: manifestOf('env.example'), headers: alice });
    await collector.received(({ attributes }) => String(attributes['url.path']).includes('env.example'));
    hear('traces', JSON.stringify(collector.spans));
    await hearFiles();
    await running.stop();
    await hearFiles();
    hear('log', running.process.output());
  });

  test('was in use: upstreams, the proxy and the collector were shown theirs', () => {
    const shown = [...hub.requests, ...own.requests].map(({ headers }) => JSON.stringify(headers)).join('\n');
    for (const password of [S.upstreamPassword, S.routePassword])
      assert.ok(shown.includes(basic('robot', password)), password);
    assert.ok(shown.includes(S.upstreamHeader));
    assert.ok(proxy.credentials.includes(`robot:${S.outboundProxy}`), String(proxy.credentials));
    assert.ok(collector.requests.some(({ headers }) => headers['authorization'] === `Bearer ${S.traceHeader}`));
    assert.ok([...made.keys()].some((what) => what.startsWith('a token of an upstream')));
    assert.ok([...made.keys()].some((what) => what.startsWith('a signature')));
    assert.ok(said.length > 350, `${said.length} texts were searched`);
  });

  for (const [place, secret] of Object.entries(S)) {
    test(`${place} is found nowhere`, () => assertAbsent(place, secret));
  }

  test('nor is what was made meanwhile: tokens, signatures, hashes, keys', () => {
    for (const [what, secret] of made) assertAbsent(what, secret);
  });

  test('no client’s secret reached an upstream', () => {
    const shown = JSON.stringify([...hub.requests, ...own.requests].map(({ url, headers }) => [url, headers]));
    for (const secret of [S.alice, S.wrongPassword, S.hubPassword, S.formPassword, S.bearer, S.proxyAuthorization])
      for (const spelling of spellings(secret)) assert.ok(!shown.includes(spelling), secret);
    assert.deepEqual(
      [...hub.leaks(), ...own.leaks()].filter((line) => !line.startsWith('a cookie')),
      [],
    );
  });

  test('the cache directory is its owner’s alone', async () => {
    assert.equal((await stat(running.dir)).mode & 0o077, 0);
  });
});

function assertAbsent(place: string, secret: string): void {
  assert.ok(secret.length >= 16, place);
  const texts = [secret, encodeURIComponent(secret), ...(secret.startsWith('c4nary') ? spellings(secret) : [])];
  const found = said.filter(({ text }) => texts.some((each) => text.includes(each)));
  const context = found.map(({ where, text }) => {
    const at = Math.max(...texts.map((each) => text.indexOf(each)));
    return `${where}: …${text.slice(Math.max(0, at - 160), at + 80)}…`;
  });
  assert.deepEqual(context.slice(0, 5), [], `${place} was said in ${found.length} places`);
}
