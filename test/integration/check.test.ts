import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import type { StepReport, UpstreamReport } from '../../src/check/index.ts';
import { check } from '../../src/cli/commands/server/check.ts';
import { ENTREPOT, type LogLine, startEntrepot } from '../support/app.ts';
import { captureOutput } from '../support/capture-output.ts';
import { serve } from '../support/connect-upstreams.ts';
import { startDotServer, zone } from '../support/dns-servers.ts';
import { startMiddlebox, type WireRecord } from '../support/middlebox.ts';
import { startOutboundProxy } from '../support/outbound-proxies.ts';
import { freePort, run as runProgram, Workspace } from '../support/processes.ts';
import { startRawServer, testPem } from '../support/raw-server.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startSite } from '../support/site.ts';

// `entrepot check` before registries, networks and outbound proxies that are well, and that are not.

const CA = fileURLToPath(new URL('../support/tls/ca.pem', import.meta.url));
const TLS = { key: testPem('server-key'), cert: testPem('server') };
const SECRET = 'correct horse';
const CHALLENGE = { 'www-authenticate': 'Basic realm="here"' };

let workspace: Workspace;
before(async () => {
  workspace = await Workspace.open();
});
after(() => workspace.close());

interface Ran {
  readonly code: number;
  readonly out: string;
  readonly err: string;
}

interface Asked {
  readonly names?: readonly string[];
  readonly json?: boolean;
  readonly timeout?: string;
  readonly isTerminal?: boolean;
}

let files = 0;
async function run(
  config: object,
  { names = [], json = false, timeout = '20s', isTerminal = false }: Asked = {},
): Promise<Ran> {
  const file = await workspace.file(`check-${++files}.yaml`, JSON.stringify(config));
  const { output, said: result } = captureOutput();
  const code = await check({ flags: { config: file }, json, names, all: false, timeout }, { output, isTerminal });
  assert.ok(!(result.out + result.err).includes(SECRET), 'a password was shown');
  return { code, ...result };
}

/** Checks one upstream, for programs and for people. */
async function checkOne(
  upstream: object | string,
  { transport = {}, timeout = '20s' }: { readonly transport?: object; readonly timeout?: string } = {},
) {
  const config = { registries: { apps: { upstreams: [upstream] } }, transport };
  const { code, out } = await run(config, { json: true, timeout });
  const answer = JSON.parse(out) as { reachable: number; unreachable: number; upstreams: UpstreamReport[] };
  const [report] = answer.upstreams;
  assert.ok(report !== undefined && answer.upstreams.length === 1, out);
  assert.equal(answer.reachable + answer.unreachable, 1);
  assert.equal(code, report.outcome === 'failed' ? 1 : 0, out);
  return { report, text: () => run(config, { timeout }).then((ran) => ran.out) };
}

function step<Name extends StepReport['step']>(report: UpstreamReport, name: Name) {
  const found = report.steps.find((each) => each.step === name);
  assert.ok(found !== undefined, `no step ${name} in ${JSON.stringify(report.steps, null, 1)}`);
  return found as Extract<StepReport, { readonly step: Name }>;
}

function names(report: UpstreamReport): string {
  return report.steps.map((each) => `${each.step}:${each.outcome}`).join(' ');
}

describe('a registry that is well', () => {
  test('and asks for nothing', async (t) => {
    const upstream = await startScriptedUpstream();
    t.after(() => upstream.stop());
    const { report, text } = await checkOne(upstream.url);
    assert.equal(names(report), 'tcp:ok http:ok');
    assert.equal(step(report, 'tcp').address, '127.0.0.1');
    const http = step(report, 'http');
    assert.deepEqual([http.method, http.status, http.challenges], ['HEAD', 200, []]);
    assert.ok(report.durationMs > 0);
    assert.match(await text(), /^apps {2}http:\S+ {2}reachable \(/);
  });

  test('gives a token to every client, and says what is left of the pulls', async (t) => {
    const upstream = await startScriptedUpstream({ personality: 'dockerHub' });
    t.after(() => upstream.stop());
    const { report } = await checkOne(upstream.url);
    const http = step(report, 'http');
    assert.deepEqual(http.challenges, [{ scheme: 'bearer', realm: upstream.realm }]);
    const token = step(report, 'token');
    assert.deepEqual([token.credential, token.tokenStatus, token.status], ['anonymous', 200, 200]);
    assert.equal(
      upstream.requests.filter(({ method, url }) => method === 'GET' && url.includes('/manifests/')).length,
      0,
    );
    assert.deepEqual(upstream.leaks(), []);
  });

  test('receives each of its credentials, and refuses the wrong one', async (t) => {
    const upstream = await startScriptedUpstream({
      personality: 'dockerHub',
      credentials: { username: 'ada', password: SECRET },
    });
    t.after(() => upstream.stop());
    const credentials = [
      { username: 'ada', password: SECRET },
      { username: 'eve', password: `not ${SECRET}` },
    ];
    const { report, text } = await checkOne({ url: upstream.url, credentials });
    const tokens = report.steps.filter((each) => each.step === 'token');
    assert.deepEqual(
      tokens.map((each) => [each.credential, each.outcome, each.tokenStatus]),
      [
        ['1', 'ok', 200],
        ['2', 'failed', 401],
      ],
    );
    assert.equal(report.reachable, true);
    assert.match(
      await text(),
      /credential 2 of 2: .*answered 401[\s\S]*what to do: The token service refuses the credential/,
    );
  });

  test('takes a password itself', async (t) => {
    const upstream = await startScriptedUpstream({
      personality: 'ecr',
      credentials: { username: 'AWS', password: SECRET },
    });
    t.after(() => upstream.stop());
    const { report } = await checkOne({ url: upstream.url, credentials: { username: 'AWS', password: SECRET } });
    const { outcome, tokenStatus, status } = step(report, 'token');
    assert.deepEqual([outcome, tokenStatus, status], ['ok', null, 200]);
  });
});

describe('the way there', () => {
  test('is told with its name server, its handshakes and its certificate', async (t) => {
    const upstream = await startScriptedUpstream({ tls: TLS });
    t.after(() => upstream.stop());
    const judge = ([first]: readonly WireRecord[]) => ((first?.payload.length ?? 0) > 1 ? 'reset' : 'pass');
    const middlebox = await startMiddlebox(Number(new URL(upstream.url).port), judge);
    t.after(() => middlebox.close());
    const server = await startDotServer(zone({ 'registry.test': ['127.0.0.1'] }));
    t.after(() => server.close());
    const transport = { ca_file: CA, first_fragment_len: 3, dns: { servers: [server.address], fallback: 'none' } };
    const { report, text } = await checkOne(`https://registry.test:${middlebox.port}`, { transport });
    assert.equal(names(report), 'dns:ok tcp:ok tls:ok http:ok');
    const dns = step(report, 'dns');
    assert.deepEqual(
      [dns.host, dns.resolver, dns.addresses],
      ['registry.test', `tls://127.0.0.1:${server.port}`, ['127.0.0.1']],
    );
    const tls = step(report, 'tls');
    assert.deepEqual([tls.version, tls.firstFragmentLen, tls.trusted], ['TLSv1.3', 1, true]);
    assert.deepEqual(tls.fallbacks, [{ from: 3, to: 1, reason: 'reset' }]);
    assert.ok(tls.certificate !== null && tls.certificate.names.includes('registry.test'));
    assert.ok(tls.certificate.daysLeft > 1000);
    assert.match(await text(), /ClientHello cut after 1 byte \(3: reset\); certificate of .* days left/);
  });

  test('through an outbound proxy is told without its password', async (t) => {
    const upstream = await startScriptedUpstream({ tls: TLS });
    t.after(() => upstream.stop());
    const proxy = await startOutboundProxy({
      kind: 'http',
      credential: `me:${SECRET}`,
      to: Number(new URL(upstream.url).port),
    });
    t.after(() => proxy.close());
    const outbound = `http://me:${encodeURIComponent(SECRET)}@127.0.0.1:${proxy.port}`;
    const transport = { ca_file: CA, outbound_proxy: outbound };
    const { report, text } = await checkOne('https://registry.test', { transport });
    assert.equal(names(report), 'tcp:ok outbound-proxy:ok tls:ok http:ok');
    assert.equal(step(report, 'outbound-proxy').address, `http://127.0.0.1:${proxy.port}`);
    assert.equal(step(report, 'tcp').port, proxy.port);
    assert.doesNotMatch(await text(), /correct/);
  });

  test('names the fixed address of the configuration as what it is', async (t) => {
    const upstream = await startScriptedUpstream();
    t.after(() => upstream.stop());
    const { port } = new URL(upstream.url);
    const transport = { dns: { hosts: { 'apps.test': ['127.0.0.1'] } } };
    const { report } = await checkOne(`http://apps.test:${port}`, { transport });
    assert.equal(step(report, 'dns').resolver, 'hosts');
    assert.equal(report.reachable, true);
  });
});

describe('HEAD is not answered well', () => {
  const rows: readonly [what: string, head: number, get: number, reachable: boolean, method: string][] = [
    ['and GET is', 405, 200, true, 'GET'],
    ['in trouble, and GET is', 500, 206, true, 'GET'],
    ['and GET is not either', 403, 404, true, 'GET'],
    ['and GET is in trouble', 404, 503, true, 'HEAD'],
    ['nor is GET', 502, 503, false, 'GET'],
  ];
  for (const [what, head, get, reachable, method] of rows) {
    test(`${what}: ${head}, ${get}`, async () => {
      const asked: (string | undefined)[] = [];
      await using server = await serve((request, response) => {
        asked.push(request.method, request.headers.range);
        response.writeHead(request.method === 'HEAD' ? head : get).end();
      });
      const { report } = await checkOne(server.url);
      assert.deepEqual(asked, ['HEAD', undefined, 'GET', 'bytes=0-0']);
      assert.equal(report.reachable, reachable);
      const http = step(report, 'http');
      assert.deepEqual([http.method, http.status], [method, method === 'GET' ? get : head]);
      assert.equal(http.remedy === undefined, http.status < 400);
    });
  }

  test('the connection is cut, and GET is answered', async (t) => {
    const server = await startRawServer(({ socket, text }) => {
      if (text.startsWith('HEAD')) socket.resetAndDestroy();
      else socket.end('HTTP/1.1 200 OK\r\nContent-Length: 0\r\n\r\n');
    });
    t.after(() => server.close());
    const { report } = await checkOne(server.url().origin);
    assert.deepEqual([step(report, 'http').method, report.reachable], ['GET', true]);
  });
});

describe('what is wrong is named, with what to do', () => {
  async function troubled(
    upstream: object | string,
    options: {
      readonly transport?: object;
      readonly timeout?: string;
      readonly step: StepReport['step'];
      readonly remedy: RegExp;
    },
  ): Promise<UpstreamReport> {
    const { report, text } = await checkOne(upstream, options);
    assert.equal(report.reachable, false, JSON.stringify(report.steps));
    const last = report.steps.at(-1);
    assert.equal(last?.step, options.step, JSON.stringify(report.steps));
    assert.equal(last?.outcome, 'failed');
    assert.match(last?.remedy ?? '', options.remedy);
    const shown = await text();
    assert.match(shown, /NOT REACHABLE/);
    assert.match(shown, /\n {4}what to do: /);
    assert.match(shown, /1 upstream checked, 1 cannot be reached: apps/);
    return report;
  }

  test('a name that is not known', async (t) => {
    const server = await startDotServer(zone({}));
    t.after(() => server.close());
    const transport = { ca_file: CA, dns: { servers: [server.address], fallback: 'none' } };
    const report = await troubled('https://registry.test', { transport, step: 'dns', remedy: /transport\.dns\.hosts/ });
    assert.equal(step(report, 'dns').resolver, `tls://127.0.0.1:${server.port}`);
  });

  test('a name that the system does not know', async () => {
    const report = await troubled('https://absent.invalid', { step: 'dns', remedy: /set transport\.dns\.servers/ });
    assert.equal(step(report, 'dns').resolver, 'system');
  });

  test('a name that leads nowhere', async () => {
    const report = await troubled(`https://localhost:${await freePort()}`, {
      step: 'tcp',
      remedy: /check host and port/,
    });
    const dns = step(report, 'dns');
    assert.equal(dns.outcome, 'warning');
    assert.match(dns.remedy ?? '', /is not a public address.*transport\.dns\.servers/);
  });

  test('a port where nothing listens', async () => {
    const port = await freePort();
    const report = await troubled(`https://127.0.0.1:${port}`, { step: 'tcp', remedy: /check host and port/ });
    assert.match(step(report, 'tcp').summary, /ECONNREFUSED/);
  });

  test('an outbound proxy that is not there', async () => {
    const port = await freePort();
    const transport = { outbound_proxy: `http://127.0.0.1:${port}` };
    await troubled('https://registry.test', { transport, step: 'tcp', remedy: /transport\.outbound_proxy.* running/ });
  });

  test('an outbound proxy that refuses', async (t) => {
    const proxy = await startOutboundProxy({ kind: 'http', refuse: 403 });
    t.after(() => proxy.close());
    const transport = { outbound_proxy: `http://127.0.0.1:${proxy.port}` };
    await troubled('https://registry.test', { transport, step: 'outbound-proxy', remedy: /allow CONNECT/ });
  });

  test('a handshake that is cut', async (t) => {
    const middlebox = await startMiddlebox(1, () => 'reset');
    t.after(() => middlebox.close());
    const url = `https://localhost:${middlebox.port}`;
    const hosts = { dns: { hosts: { localhost: ['127.0.0.1'] } } };
    await troubled(url, { transport: hosts, step: 'tls', remedy: /set transport\.first_fragment_len: 3/ });
    const report = await troubled(url, {
      transport: { ...hosts, first_fragment_len: 3 },
      step: 'tls',
      remedy: /fails at each length/,
    });
    assert.deepEqual(
      step(report, 'tls').fallbacks.map(({ from, to }) => [from, to]),
      [
        [3, 1],
        [1, 0],
      ],
    );
  });

  test('a certificate of an unknown authority', async (t) => {
    const upstream = await startScriptedUpstream({ tls: TLS });
    t.after(() => upstream.stop());
    const report = await troubled(upstream.url, { step: 'tls', remedy: /transport\.ca_file/ });
    const tls = step(report, 'tls');
    assert.equal(tls.trusted, false);
    assert.ok(tls.certificate?.names.includes('127.0.0.1'), JSON.stringify(tls));
    assert.match(
      tls.summary,
      new RegExp(`signed by ${tls.certificate?.issuer}, an authority that this machine does not trust`),
    );
    // Nothing was asked of who is not trusted.
    assert.deepEqual(upstream.requests, []);
  });

  test('a certificate of another host', async (t) => {
    const upstream = await startScriptedUpstream({ tls: TLS });
    t.after(() => upstream.stop());
    const transport = { ca_file: CA, dns: { hosts: { 'other.example': ['127.0.0.1'] } } };
    const url = `https://other.example:${new URL(upstream.url).port}`;
    const report = await troubled(url, { transport, step: 'tls', remedy: /transport\.dns\.servers/ });
    assert.match(step(report, 'tls').summary, /is for .*registry\.test.*, not for other\.example/);
    assert.deepEqual(upstream.requests, []);
  });

  test('plain HTTP where https is expected', async (t) => {
    const server = await startRawServer(() => undefined, {
      connected: (socket) => void socket.once('data', () => socket.end('HTTP/1.1 400 Bad Request\r\n\r\n')),
    });
    t.after(() => server.close());
    const url = server.url().origin.replace('http:', 'https:');
    await troubled(url, { step: 'tls', remedy: /does not speak TLS.* begins with http:\/\// });
  });

  test('a server that accepts and says nothing, within the time that was given', async (t) => {
    const server = await startRawServer(() => undefined);
    t.after(() => server.close());
    const report = await troubled(server.url().origin, { timeout: '300ms', step: 'http', remedy: /does not answer/ });
    assert.equal(step(report, 'http').status, 0);
  });

  test('a server in trouble', async () => {
    await using server = await serve((_, response) => void response.writeHead(503).end());
    await troubled(server.url, { step: 'http', remedy: /is failing/ });
  });
});

describe('mirror routes', () => {
  test('are asked for their own first page, by HEAD and by GET for one byte', async () => {
    await using site = await startSite({
      '/well': (_, response) => void response.end('hello'),
      '/get-only': ({ method }, response) => void response.writeHead(method === 'HEAD' ? 405 : 206).end(),
      '/login': ({ headers }, response) =>
        void response.writeHead(headers.authorization === undefined ? 401 : 200, CHALLENGE).end(),
      '/down': (_, response) => void response.writeHead(500).end(),
    });
    const credentials = { username: 'ada', password: SECRET };
    const mirrors = [
      ...['well', 'get-only', 'nothing-there', 'down'].map((name) => ({ name, upstream: `${site.url}/${name}` })),
      { name: 'login', upstream: `${site.url}/login`, credentials },
      { name: 'open', upstream: `${site.url}/login` },
    ].map((mirror) => ({ ...mirror, prefix: `/${mirror.name}` }));
    const { code, out } = await run({ mirrors }, { json: true });
    assert.equal(code, 1);
    const { upstreams } = JSON.parse(out) as { upstreams: UpstreamReport[] };
    const found = Object.fromEntries(upstreams.map((report) => [report.name, report]));
    const shown = (name: string) => {
      const report = found[name];
      assert.ok(report?.kind === 'mirror', name);
      return [report.reachable, report.outcome, names(report)];
    };
    assert.deepEqual(shown('well'), [true, 'ok', 'tcp:ok http:ok']);
    assert.deepEqual(shown('get-only'), [true, 'ok', 'tcp:ok http:ok']);
    assert.deepEqual(shown('nothing-there'), [true, 'ok', 'tcp:ok http:ok']);
    assert.deepEqual(shown('login'), [true, 'ok', 'tcp:ok http:ok token:ok']);
    assert.deepEqual(shown('open'), [true, 'ok', 'tcp:ok http:ok']);
    assert.deepEqual(shown('down'), [false, 'failed', 'tcp:ok http:failed']);
    const asked = site.visits
      .filter(({ url }) => url === '/get-only')
      .map(({ method, headers }) => [method, headers.range]);
    assert.deepEqual(asked, [
      ['HEAD', undefined],
      ['GET', 'bytes=0-0'],
    ]);
  });
});

describe('what works and wants to be looked at', () => {
  test('a certificate that is not checked', async (t) => {
    const upstream = await startScriptedUpstream({ tls: TLS });
    t.after(() => upstream.stop());
    const { report } = await checkOne({ url: upstream.url, tls: { insecure_skip_verify: true } });
    const tls = step(report, 'tls');
    assert.deepEqual([report.reachable, tls.outcome, tls.trusted], [true, 'warning', false]);
    assert.match(tls.remedy ?? '', /insecure_skip_verify lets any server pass for .*ca_file/);
  });

  test('no registry at the url', async () => {
    await using server = await serve((_, response) => void response.writeHead(404).end());
    const { report } = await checkOne(server.url);
    assert.equal(names(report), 'tcp:ok http:warning');
    assert.match(step(report, 'http').remedy ?? '', /no registry at this url/);
  });

  test('a port of HTTPS that is asked by plain HTTP', async () => {
    await using server = await serve((_, response) => void response.writeHead(400).end());
    const { report } = await checkOne(server.url);
    assert.equal(names(report), 'tcp:ok http:warning');
    assert.match(step(report, 'http').remedy ?? '', /expects HTTPS/);
  });

  test('a realm that is not of the registry', async () => {
    await using server = await serve((_, response) => {
      response.writeHead(401, { 'www-authenticate': 'Bearer realm="https://tokens.example/x?secret=1"' }).end();
    });
    const { report } = await checkOne(server.url);
    assert.deepEqual(step(report, 'http').challenges, [{ scheme: 'bearer', realm: 'https://tokens.example/x' }]);
    assert.match(step(report, 'token').remedy ?? '', /token_realms/);
  });
});

describe('many at once', () => {
  test('all are told, in the order of the configuration, and one that is lost makes the difference', async (t) => {
    const well = await startScriptedUpstream();
    t.after(() => well.stop());
    const lost = `http://127.0.0.1:${await freePort()}`;
    const registries = Object.fromEntries(
      Array.from({ length: 20 }, (_, index) => [
        `r${index}`,
        { upstreams: [index === 11 ? lost : well.url, well.url] },
      ]),
    );
    const { code, out } = await run({ registries }, { json: true });
    const { upstreams, reachable, unreachable } = JSON.parse(out) as {
      upstreams: UpstreamReport[];
      reachable: number;
      unreachable: number;
    };
    assert.deepEqual([code, reachable, unreachable], [1, 39, 1]);
    assert.deepEqual(
      upstreams.map(({ name }) => name),
      Object.keys(registries).flatMap((name) => [name, name]),
    );
    const some = await run({ registries }, { names: ['r3', 'r4'], isTerminal: true });
    assert.equal(some.code, 0);
    assert.match(some.out, /4 upstreams checked, all can be reached/);
    assert.match(some.err, /4 of 4 checked/);
  });

  test('what is known is left out beside what is configured, and said so', async (t) => {
    const well = await startScriptedUpstream();
    t.after(() => well.stop());
    const { out } = await run({ registries: { apps: { upstreams: [well.url] } } });
    assert.match(out, /\d+ built-in registries were left out; --all checks them too/);
  });
});

describe('beside everything else', () => {
  test('a server may run on the same configuration, and is not asked', async (t) => {
    const well = await startScriptedUpstream();
    t.after(() => well.stop());
    const server = await startEntrepot(workspace, { registries: { apps: { upstreams: [well.url] } } });
    const { code } = await run({ registries: { apps: { upstreams: [well.url] } }, cache: { dir: server.dir } });
    assert.equal(code, 0);
    assert.equal(server.logs().filter(({ msg }) => msg === 'request').length, 0);
    assert.equal(await server.stop(), 0);
  });

  test('an operator who has had enough gets the prompt back', async (t) => {
    const silent = await startRawServer(() => enough.abort(new Error('interrupted')));
    t.after(() => silent.close());
    const enough = new AbortController();
    const file = await workspace.file(
      'silent.yaml',
      JSON.stringify({ registries: { apps: { upstreams: [silent.url().origin] } } }),
    );
    const said = { out: '' };
    const output = { out: (text: string) => (said.out += text), err: () => undefined };
    const options = { flags: { config: file }, json: false, names: [], all: false };
    assert.equal(await check(options, { output, isTerminal: false, interrupt: enough.signal }), 130);
    assert.equal(said.out, '');
  });
});

describe('the command line', () => {
  test('a name that means nothing ends with 2', async () => {
    const { code, err } = await run({}, { names: ['absent'] });
    assert.equal(code, 2);
    assert.match(err, /"absent" is no registry, upstream or route/);
  });

  test('a length of time that is none ends with 2', async () => {
    const { code, err } = await run({}, { timeout: 'soon' });
    assert.equal(code, 2);
    assert.match(err, /--timeout soon is not a length of time/);
  });

  test('a wrong configuration ends with 78', async () => {
    const { code, err } = await run({ lisen: ':1' });
    assert.equal(code, 78);
    assert.match(err, /lisen/);
  });

  test('without a configuration the known registries are checked, and it says so', async () => {
    // Everything goes to an outbound proxy that is not there, so no host outside is asked.
    const env = {
      ...process.env,
      HOME: workspace.path('home'),
      ENTREPOT_TRANSPORT__OUTBOUND_PROXY: `http://127.0.0.1:${await freePort()}`,
      NODE_NO_WARNINGS: '1',
    };
    const { code, stdout } = await runProgram(
      ['sh', '-c', 'cd "$0" && exec sh "$1" check', workspace.path(), ENTREPOT],
      { env },
    );
    assert.equal(code, 1);
    assert.match(stdout, /^No configuration file was found: checking the built-in registries\./);
    assert.match(stdout, /^docker\.io {2}https:\/\/registry-1\.docker\.io {2}NOT REACHABLE/m);
    assert.match(stdout, /^ghcr\.io /m);
  });
});

describe('at the start of a server', () => {
  test('--check-upstreams tells what cannot be reached, and serves', async (t) => {
    const well = await startScriptedUpstream();
    t.after(() => well.stop());
    const registries = {
      near: { upstreams: [well.url] },
      far: { upstreams: [`http://127.0.0.1:${await freePort()}`] },
    };
    const config = { listen: '127.0.0.1:0', cache: 'off', log: { format: 'json' }, registries };
    const file = await workspace.file('warn.yaml', JSON.stringify(config));
    const server = await workspace.start(['sh', ENTREPOT, 'serve', '--config', file, '--check-upstreams'], {
      ready: (running) => running.lines().some((line) => line.includes('"upstreams checked"')),
    });
    const logged = server.lines().map((line) => JSON.parse(line) as LogLine);
    const checked = logged.find(({ msg }) => msg === 'upstreams checked');
    assert.deepEqual([checked?.['reachable'], checked?.['unreachable']], [1, 1]);
    const told = logged.filter(({ msg }) => msg === 'upstream cannot be reached');
    assert.deepEqual(
      [told[0]?.level, told[0]?.['registry'], told[0]?.['step'], told.length],
      ['warn', 'far', 'tcp', 1],
    );
    assert.match(String(told[0]?.['remedy']), /check host and port/);
    const address = String(logged.find(({ msg }) => msg === 'listening')?.['address']);
    assert.equal((await fetch(`http://${address}/readyz`)).status, 200);
    assert.equal(await server.stop(), 0);
  });

  test('--check-upstreams=refuse does not start where one cannot be reached', async () => {
    const registries = { far: { upstreams: [`http://127.0.0.1:${await freePort()}`] } };
    const config = { listen: '127.0.0.1:0', cache: { dir: workspace.path('refused') }, registries };
    const file = await workspace.file('refuse.yaml', JSON.stringify(config));
    const line = ['sh', ENTREPOT, 'serve', '--config', file, '--check-upstreams=refuse'];
    const { code, stdout, stderr } = await runProgram(line);
    assert.equal(code, 1);
    assert.match(stderr, /^far {2}http\S+ {2}NOT REACHABLE[\s\S]*Not started, as --check-upstreams=refuse says\.\n$/);
    assert.doesNotMatch(stdout, /"listening"/);
  });

  test('--check-upstreams=refuse starts where all can be', async (t) => {
    const well = await startScriptedUpstream();
    t.after(() => well.stop());
    const config = { registries: { near: { upstreams: [well.url] } } };
    const server = await startEntrepot(workspace, config, { args: ['-check-upstreams=refuse'] });
    assert.equal(well.count({ method: 'HEAD' }), 1);
    assert.equal(await server.stop(), 0);
  });
});
