import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { mkdir, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { setTimeout } from 'node:timers/promises';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { ENTREPOT } from '../support/app.ts';
import { startDotServer, zone } from '../support/dns-servers.ts';
import { openTunnelTo } from '../support/forward-stage.ts';
import { buildImage } from '../support/image.ts';
import { startMiddlebox } from '../support/middlebox.ts';
import { startMirror } from '../support/mirror.ts';
import { run, Workspace } from '../support/processes.ts';
import { rawRequest } from '../support/raw-request.ts';
import { testPem } from '../support/raw-server.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';
import { startSite } from '../support/site.ts';

// What users of Rewriting Mirror and of Container Registry Mirrors know, row by row, under the names they know it by: the
// left side is theirs, the right side ours.

const CA = fileURLToPath(new URL('../support/tls/ca.pem', import.meta.url));
const TLS = { key: testPem('server-key'), cert: testPem('server') };
const REPOSITORY = 'team/app';
const MANIFEST = `/up/v2/${REPOSITORY}/manifests/latest`;
const image = buildImage({ seed: 'parity' });

let workspace: Workspace;
let upstream: ScriptedUpstream;
before(async () => {
  workspace = await Workspace.open();
  upstream = await startScriptedUpstream();
  upstream.add(image, REPOSITORY, ['latest']);
});
after(async () => {
  await upstream.stop();
  await workspace.close();
});

/** Runs the command in a directory, with these variables and no others of ours. */
async function entrepot(
  line: string,
  { dir = workspace.dir, env = {} }: { dir?: string; env?: NodeJS.ProcessEnv } = {},
) {
  const own = Object.entries(process.env).filter(([name]) => !/^ENTREPOT_|^PORT$/.test(name));
  const whole = { ...Object.fromEntries(own), HOME: workspace.dir, NODE_NO_WARNINGS: '1', ...env };
  return await run(['sh', '-c', 'cd "$1" && shift && exec sh "$@"', 'sh', dir, ENTREPOT, ...line.split(' ')], {
    env: whole,
  });
}

/** The configuration in effect. */
async function effective(config: object): Promise<Record<string, unknown>> {
  const file = await workspace.file('effective.yaml', JSON.stringify(config));
  const { code, stdout, stderr } = await entrepot(`config print --json -c ${file}`);
  assert.equal(code, 0, stderr);
  return (JSON.parse(stdout) as { config: Record<string, unknown> }).config;
}

function up(more: object = {}) {
  return { registries: { up: { upstreams: [upstream.url] } }, ...more };
}

describe('Rewriting Mirror', () => {
  describe('command line', () => {
    test('-config → serve --config', async () => {
      // The address is not taken and is not this machine's: the file was read, and the server was to start on it.
      const file = await workspace.file('start.yaml', JSON.stringify({ listen: '192.0.2.1:1', cache: 'off' }));
      const { code, stderr } = await entrepot(`-config ${file}`);
      assert.equal(code, 1);
      assert.match(stderr, /192\.0\.2\.1:1/);
    });

    test('-validate → config validate', async () => {
      const good = await workspace.file('good.yaml', 'listen: 127.0.0.1:5000\n');
      const bad = await workspace.file('bad.yaml', 'lisen: :1\n');
      for (const line of [`-config ${good} -validate`, `-validate -config ${good}`]) {
        const { code, stdout } = await entrepot(line);
        assert.deepEqual([code, stdout.split('\n')[0]], [0, `${good} is valid`]);
      }
      const { code, stderr } = await entrepot(`-validate -config ${bad}`);
      assert.equal(code, 78);
      assert.match(stderr, /lisen/);
    });

    test('-print-default-config → config default', async () => {
      const { code, stdout } = await entrepot('-print-default-config');
      assert.equal(code, 0);
      assert.equal(stdout, (await entrepot('config default')).stdout);
      assert.match(stdout, /^#? ?listen: /m);
    });

    test('-version → --version', async () => {
      const { code, stdout } = await entrepot('-version');
      assert.equal(code, 0);
      assert.match(stdout, /^entrepot \d+\.\d+\.\d+ /);
    });

    test('-check-upstreams → check, and serve --check-upstreams', async () => {
      const config = { listen: '127.0.0.1:0', cache: 'off', log: { format: 'json' }, ...up() };
      const file = await workspace.file('check.yaml', JSON.stringify(config));
      const checked = await entrepot(`check -config ${file}`);
      assert.equal(checked.code, 0);
      assert.match(checked.stdout, /1 upstream checked, it can be reached/);
      const server = await workspace.start(['sh', ENTREPOT, '-config', file, '-check-upstreams'], {
        env: { ...process.env, HOME: workspace.dir },
        ready: (running) => running.lines().some((line) => line.includes('"upstreams checked"')),
      });
      assert.ok(server.lines().some((line) => line.includes('"upstreams checked"') && line.includes('"reachable":1')));
      assert.equal(await server.stop(), 0);
    });
  });

  describe('configuration', () => {
    test('listen (default 127.0.0.1:5000) → listen', async () => {
      assert.equal((await effective({}))['listen'], '127.0.0.1:5000');
    });

    test('public_base_url → public_url', async () => {
      const listen = [{ address: '127.0.0.1:0', redirect_to_https: true }];
      await using mirror = await startMirror(up({ listen, public_url: 'https://mirror.example.com' }));
      const { status, headers } = await mirror.get('/v2/');
      assert.deepEqual([status, headers['location']], [308, 'https://mirror.example.com/v2/']);
    });

    test('access_log → log.access', async () => {
      const lines = async (access: boolean) => {
        const config = { listen: '127.0.0.1:0', cache: 'off', log: { format: 'json', access }, ...up() };
        const file = await workspace.file('access.yaml', JSON.stringify(config));
        const server = await workspace.start(['sh', ENTREPOT, 'serve', '-c', file], {
          env: { ...process.env, HOME: workspace.dir },
          ready: (running) => running.lines().some((line) => line.includes('"msg":"listening"')),
        });
        const listening = server.lines().find((line) => line.includes('"msg":"listening"')) ?? '{}';
        const { address } = JSON.parse(listening) as { address: string };
        await rawRequest(address, { path: '/v2/' });
        await server.stop();
        return server.lines().filter((line) => line.includes('"msg":"request"')).length;
      };
      assert.deepEqual([await lines(true), await lines(false)], [1, 0]);
    });

    test('tls.cert_file, tls.key_file → listen[].tls', async () => {
      const cert = await workspace.file('cert.pem', TLS.cert);
      const key = await workspace.file('key.pem', TLS.key);
      const listen = [{ address: '127.0.0.1:0', tls: { cert_file: cert, key_file: key } }];
      await using mirror = await startMirror(up({ listen }));
      const port = Number(mirror.host.split(':').at(-1));
      const socket = connect({ port, host: '127.0.0.1', servername: 'localhost', ca: testPem('ca') });
      const text = await new Promise<string>((resolve, reject) => {
        socket.on('error', reject).once('data', (bytes) => resolve(bytes.toString('latin1')));
        socket.write('GET /healthz HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n');
      });
      socket.destroy();
      assert.match(text, /^HTTP\/1\.1 200 /);
    });

    test('timeouts.* → timeouts of the same names', async () => {
      const timeouts = {
        read_header_timeout: '7s',
        read_timeout: '1m30s',
        write_timeout: '2m',
        idle_timeout: '90s',
        shutdown_timeout: '5s',
        max_header_bytes: 8192,
      };
      const found = (await effective({ timeouts })) as { timeouts: Record<string, unknown> };
      for (const name of Object.keys(timeouts)) assert.ok(name in found.timeouts, name);
      await using mirror = await startMirror(up({ timeouts }));
      const { status } = await mirror.get('/v2/', { 'x-long': 'x'.repeat(9000) });
      assert.equal(status, 431);
    });

    test('transport.* → transport of the same names; what has no meaning is accepted and said', async () => {
      const transport = {
        first_fragment_len: 3,
        dial_timeout: '5s',
        keepalive: '15s',
        idle_conn_timeout: '90s',
        tls_handshake_timeout: '5s',
        response_header_timeout: '10s',
        expect_continue_timeout: '1s',
        max_idle_conns: 10,
        max_idle_conns_per_host: 2,
        max_conns_per_host: 8,
        force_http2: true,
        disable_compression: true,
      };
      const file = await workspace.file('transport.yaml', JSON.stringify({ transport }));
      const { code, stdout } = await entrepot(`-config ${file} -validate`);
      assert.equal(code, 0);
      for (const name of ['force_http2']) assert.match(stdout, new RegExp(`note: .*${name}`));
    });

    test('limits.max_inflight, limits.max_inflight_wait → limits of the same names', async () => {
      const busy = async (limits: object) => {
        const gate = upstream.hold({ kind: 'manifest' });
        const mirror = await startMirror(up({ limits: { max_inflight: 1, ...limits } }));
        const first = mirror.get(MANIFEST);
        await gate.arrived();
        return { mirror, gate, first };
      };
      const full = await busy({});
      const refused = await full.mirror.get(MANIFEST);
      assert.equal(refused.status, 429);
      assert.match(String(refused.headers['retry-after']), /^\d+$/);
      // Ready while not overloaded, in both places.
      for (const path of ['/_rmirror/readyz', '/readyz']) assert.equal((await full.mirror.get(path)).status, 503);
      assert.equal((await full.mirror.get('/_rmirror/healthz')).status, 200);
      full.gate.open();
      assert.equal((await full.first).status, 200);
      await full.mirror.stop();
      upstream.heal();

      const patient = await busy({ max_inflight_wait: '20s' });
      const second = patient.mirror.get(MANIFEST);
      while (!/^entrepot_admission_waiting 1$/m.test((await patient.mirror.get('/metrics')).body.toString())) {
        // It is asked again until the second waits: nothing else tells.
      }
      patient.gate.open();
      assert.deepEqual([(await patient.first).status, (await second).status], [200, 200]);
      await patient.mirror.stop();
      upstream.heal();
    });

    test('routes[].name, public_prefix, upstream (a bare host too), preserve_host → mirrors[]', async () => {
      await using site = await startSite({ '/base/file': (_, response) => void response.end('hello') });
      const mirrors = [
        { name: 'own', prefix: '/own', upstream: `${site.url}/base` },
        { name: 'kept', prefix: '/kept', upstream: `${site.url}/base`, preserve_host: true },
        { name: 'bare', prefix: '/bare', upstream: 'github.example' },
      ];
      await using mirror = await startMirror({ mirrors });
      assert.equal((await mirror.get('/own/file')).body.toString(), 'hello');
      assert.equal((await mirror.get('/kept/file')).body.toString(), 'hello');
      assert.deepEqual(
        site.visits.map(({ url, headers }) => [url, headers.host]),
        [
          ['/base/file', new URL(site.url).host],
          ['/base/file', mirror.host],
        ],
      );
      const line = await mirror.logged(({ msg, path }) => msg === 'request' && path === '/own/file');
      assert.equal(line['route'], 'own');
      const metrics = (await mirror.get('/metrics')).body.toString();
      assert.match(metrics, /^entrepot_http_requests_total\{[^}]*route="own"/m);
    });

    test('public_base_url → what addresses are rewritten with', async () => {
      await using site = await startSite({
        '/from': (_, response) => void response.writeHead(302, { location: '/to?a=b' }).end(),
      });
      const mirrors = [{ name: 'own', prefix: '/own', upstream: site.url }];
      await using mirror = await startMirror({ mirrors, public_url: 'https://mirror.example.com' });
      const { status, headers } = await mirror.get('/own/from');
      assert.deepEqual([status, headers['location']], [302, 'https://mirror.example.com/own/to?a=b']);
    });

    for (const [theirs, ours] of [
      ['docker.json', 'docker-hub-route.yaml'],
      ['github.json', 'github.yaml'],
      ['huggingface.json', 'huggingface.yaml'],
    ]) {
      test(`examples/${theirs} → examples/${ours}`, async () => {
        const file = fileURLToPath(new URL(`../../examples/${ours}`, import.meta.url));
        const { code, stdout, stderr } = await entrepot(`config validate --no-references -c ${file}`);
        assert.equal(code, 0, stderr);
        assert.match(stdout, / is valid$/m);
      });
    }

    test('config.schema.json → config schema', async () => {
      const { code, stdout } = await entrepot('config schema');
      assert.equal(code, 0);
      const schema = JSON.parse(stdout) as { properties: Record<string, unknown> };
      for (const name of ['listen', 'transport', 'timeouts', 'limits']) assert.ok(name in schema.properties, name);
    });
  });

  describe('endpoints', () => {
    for (const path of ['/_rmirror/healthz', '/_rmirror/readyz', '/healthz', '/readyz']) {
      test(`${path} → 200 ok`, async () => {
        await using mirror = await startMirror(up());
        const { status, body } = await mirror.get(path);
        assert.deepEqual([status, body.toString()], [200, 'ok']);
      });
    }

    test('/metrics: requests, latency, bytes, inflight, TLS fallback', async () => {
      await using mirror = await startMirror(up());
      await mirror.get(MANIFEST);
      const text = (await mirror.get('/metrics')).body.toString();
      for (const name of [
        'entrepot_http_requests_total',
        'entrepot_http_request_duration_seconds_bucket',
        'entrepot_http_response_bytes_total',
        'entrepot_http_requests_in_flight',
        'entrepot_tls_fallback_total',
      ]) {
        assert.match(text, new RegExp(`^(?:# TYPE )?${name}\\b`, 'm'));
      }
    });
  });

  test('log line fields ts level msg method path status bytes duration route upstream', async () => {
    await using mirror = await startMirror(up());
    const { body } = await mirror.get(MANIFEST);
    const line = await mirror.logged(({ msg }) => msg === 'request');
    assert.ok(!Number.isNaN(Date.parse(String(line['ts']))));
    const { level, msg, method, path, status, bytes, duration, route, upstream: from } = line;
    assert.deepEqual(
      { level, msg, method, path, status, bytes, route, from },
      {
        level: 'info',
        msg: 'request',
        method: 'GET',
        path: MANIFEST,
        status: 200,
        bytes: body.length,
        route: 'registry',
        from: new URL(upstream.url).host,
      },
    );
    assert.equal(typeof duration, 'number');
  });

  test('SIGHUP reloads routes, transport, limits; what takes a restart is named in the log', async () => {
    const config = (more: object) =>
      JSON.stringify({ listen: '127.0.0.1:0', cache: 'off', log: { format: 'json' }, ...more });
    const file = await workspace.file('hup.yaml', config({}));
    const server = await workspace.start(['sh', ENTREPOT, 'serve', '-c', file], {
      env: { ...process.env, HOME: workspace.dir },
      ready: (running) => running.lines().some((line) => line.includes('"msg":"ready"')),
    });
    const said = (text: string) => server.lines().filter((line) => line.includes(text));
    const { address } = JSON.parse(said('"msg":"listening"')[0] ?? '{}') as { address: string };
    assert.equal((await rawRequest(address, { path: MANIFEST })).status, 404);
    const next = { ...up(), listen: '127.0.0.1:1', transport: { dial_timeout: '3s' }, limits: { max_connections: 99 } };
    await writeFile(file, config(next));
    server.kill('SIGHUP');
    await eventually(() => said('takes a restart').length === 1);
    assert.equal((await rawRequest(address, { path: MANIFEST })).status, 200);
    for (const option of ['registries', 'transport.dial_timeout', 'limits.max_connections']) {
      assert.match(said('config.reloaded')[0] ?? '', new RegExp(`"${option}`));
    }
    assert.match(said('takes a restart')[0] ?? '', /"options":\["listen"\]/);
    assert.equal(await server.stop(), 0);
  });

  test('reset in the handshake → smaller fragments: 1, then 0', async (t) => {
    const registry = await startScriptedUpstream({ tls: TLS });
    t.after(() => registry.stop());
    registry.add(image, REPOSITORY, ['latest']);
    // Only a ClientHello in one piece passes.
    const judge = (hello: readonly unknown[]) => (hello.length > 1 ? 'reset' : 'pass');
    const middlebox = await startMiddlebox(Number(new URL(registry.url).port), judge);
    t.after(() => middlebox.close());
    const registries = { up: { upstreams: [`https://127.0.0.1:${middlebox.port}`] } };
    const transport = { ca_file: CA, first_fragment_len: 5 };
    await using mirror = await startMirror({ registries, transport });
    assert.equal((await mirror.get(MANIFEST)).status, 200);
    const steps = mirror.log.filter(({ msg }) => msg === 'transport.fallback');
    assert.deepEqual(
      steps.map((step) => [step['from'], step['to']]),
      [
        [5, 1],
        [1, 0],
      ],
    );
  });

  test('TeRaSu DoH, DoT → transport.dns', async (t) => {
    const names = await startDotServer(zone({ 'registry.test': ['127.0.0.1'] }));
    t.after(() => names.close());
    const registries = { up: { upstreams: [`http://registry.test:${new URL(upstream.url).port}`] } };
    const transport = { ca_file: CA, dns: { servers: [names.address], fallback: 'none' } };
    await using mirror = await startMirror({ registries, transport });
    assert.equal((await mirror.get(MANIFEST)).status, 200);
    assert.ok(names.questions.some(({ name }) => name === 'registry.test'));
  });
});

describe('Container Registry Mirrors', () => {
  describe('command line', () => {
    for (const flag of ['-config', '-c', '--config', '-config=', '-c=']) {
      test(`${flag} → --config`, async () => {
        const file = await workspace.file('flag.yaml', 'log: {level: debug}\n');
        const { code, stdout } = await entrepot(`config print ${flag}${flag.endsWith('=') ? '' : ' '}${file}`);
        assert.equal(code, 0);
        assert.match(stdout, /^# .*flag\.yaml$/m);
      });
    }

    for (const name of ['config.yaml', 'config.yml', 'config.json']) {
      test(`${name} in the working directory → entrepot.${name.split('.')[1]}`, async () => {
        const dir = workspace.path(`in-${name}`);
        await mkdir(dir, { recursive: true });
        await writeFile(`${dir}/entrepot.${name.split('.')[1]}`, JSON.stringify({ log: { level: 'warn' } }));
        const { code, stdout } = await entrepot('config validate', { dir });
        assert.equal(code, 0);
        assert.match(stdout, /entrepot\.(?:yaml|yml|json) is valid/);
      });
    }

    test('no file → runs on the defaults', async () => {
      const dir = workspace.path('no-file');
      await mkdir(dir, { recursive: true });
      const { code, stdout } = await entrepot('config validate', { dir });
      assert.deepEqual([code, stdout], [0, 'No configuration file was found; the defaults are valid.\n']);
    });
  });

  /** A forward proxy for the scripted registry, by a name of its own. */
  async function forwarding(forward_proxy: object = {}) {
    const registry = await startScriptedUpstream({ tls: TLS, host: 'registry.test' });
    registry.add(image, REPOSITORY, ['latest']);
    const mirror = await startMirror({
      registries: { 'registry.test': { upstreams: [registry.url] } },
      transport: { ca_file: CA, dns: { hosts: { 'registry.test': '127.0.0.1' } }, allow_private: ['registry.test'] },
      forward_proxy: {
        enabled: true,
        allowed_hosts: ['registry.test'],
        allow_private: ['registry.test'],
        ports: [443, Number(new URL(registry.url).port)],
        ...forward_proxy,
      },
    });
    const port = Number(new URL(mirror.url).port);
    return {
      mirror,
      port,
      registry,
      async [Symbol.asyncDispose]() {
        await mirror.stop();
        await registry.stop();
      },
    };
  }

  describe('configuration', () => {
    test('listen → listen, forward_proxy.listen', async () => {
      const config = await effective({ listen: ':7000', forward_proxy: { enabled: true, listen: ':7001' } });
      assert.match(JSON.stringify(config['listen']), /7000/);
      assert.match(JSON.stringify(config['forward_proxy']), /7001/);
    });

    const hosts: readonly (readonly [allowed: string, host: string, ok: boolean])[] = [
      ['registry.test', 'registry.test', true],
      ['Registry.TEST', 'REGISTRY.test', true],
      ['^reg.*\\.test$', 'REGISTRY.TEST', true],
      ['registry.test', 'other.test', false],
      ['registry.test', 'xregistry.test', false],
    ];
    for (const [allowed, host, ok] of hosts) {
      test(`allowed_hosts: ${allowed} lets ${ok ? '' : 'not '}to ${host}`, async () => {
        await using stage = await forwarding({ allowed_hosts: [allowed] });
        const target = `${host}:${new URL(stage.registry.url).port}`;
        if (ok) (await openTunnelTo({ port: stage.port }, target)).destroy();
        else await assert.rejects(openTunnelTo({ port: stage.port }, target), /403/);
      });
    }

    for (const host of ['docker.io', 'registry-1.docker.io', 'gcr.io', 'registry.k8s.io', 'docker.elastic.co']) {
      test(`allowed_hosts has ${host} by default → forward_proxy.presets`, async () => {
        const name = host === 'registry-1.docker.io' ? 'docker.io' : host;
        const file = await workspace.file(
          'preset.yaml',
          JSON.stringify({ forward_proxy: { enabled: true, presets: [name] } }),
        );
        const { code, stderr } = await entrepot(`config validate -c ${file}`);
        assert.equal(code, 0, stderr);
      });
    }

    test('insecure_tls → transport.insecure_skip_verify, and per upstream', async (t) => {
      const registry = await startScriptedUpstream({ tls: TLS });
      t.after(() => registry.stop());
      registry.add(image, REPOSITORY, ['latest']);
      const status = async (config: object) => {
        await using mirror = await startMirror({ registries: { up: { upstreams: [registry.url] } }, ...config });
        return (await mirror.get(MANIFEST)).status;
      };
      assert.equal(await status({}), 503);
      assert.equal(await status({ transport: { insecure_skip_verify: true } }), 200);
      const own = { url: registry.url, tls: { insecure_skip_verify: true } };
      assert.equal(await status({ registries: { up: { upstreams: [own] } } }), 200);
    });

    for (const level of ['debug', 'info']) {
      test(`log_level: ${level} → log.level`, async () => {
        const { log } = (await effective({ log: { level } })) as { log: { level: string } };
        assert.equal(log.level, level);
      });
    }

    test('mitm.enabled, ca_cert_path, ca_key_path → forward_proxy.mitm; made where absent', async () => {
      const dir = workspace.path('authority');
      const { code } = await entrepot(`ca init --dir ${dir}`);
      assert.equal(code, 0);
      const files = { ca_cert_file: `${dir}/ca.crt`, ca_key_file: `${dir}/ca.key` };
      assert.ok(existsSync(files.ca_cert_file) && existsSync(files.ca_key_file));
      await using given = await forwarding({ mitm: { enabled: true, ...files } });
      assert.match((await given.mirror.get('/ca.crt')).body.toString(), /^-----BEGIN CERTIFICATE-----/);
      await using made = await forwarding({ mitm: { enabled: true } });
      assert.match((await made.mirror.get('/ca.crt')).body.toString(), /^-----BEGIN CERTIFICATE-----/);
    });
  });

  test('registry-mirrors of docker → images of Docker Hub at the root', async () => {
    await using mirror = await startMirror({ registries: { 'docker.io': { upstreams: [upstream.url] } } });
    assert.equal((await mirror.get(`/v2/${REPOSITORY}/manifests/latest`)).status, 200);
  });

  test('endpoint of containerd → ?ns=', async () => {
    await using mirror = await startMirror({ registries: { 'ghcr.io': { upstreams: [upstream.url] } } });
    const { status, headers } = await mirror.get(`/v2/${REPOSITORY}/manifests/latest?ns=ghcr.io`);
    assert.deepEqual([status, headers['oci-namespace']], [200, 'ghcr.io']);
  });

  test('GET /healthz → 200 ok', async () => {
    await using mirror = await startMirror(up());
    const { status, body } = await mirror.get('/healthz');
    assert.deepEqual([status, body.toString()], [200, 'ok']);
  });

  test('GET /health → {"status":"healthy"}', async () => {
    await using mirror = await startMirror(up());
    const { status, body } = await mirror.get('/health');
    assert.deepEqual([status, body.toString()], [200, '{"status":"healthy"}']);
  });

  test('instructions to trust the authority: macOS, Debian, CentOS, Docker, containerd → /help and /ca.crt', async () => {
    await using stage = await forwarding({ mitm: { enabled: true } });
    const page = (await stage.mirror.get('/help', { accept: 'text/html' })).body.toString();
    for (const words of [
      '/ca.crt',
      'update-ca-certificates',
      'update-ca-trust',
      'security add-trusted-cert',
      'containerd',
    ]) {
      assert.ok(page.includes(words), `${words} is not in /help`);
    }
  });

  test('debug log of decrypted exchanges → the same, secrets masked', async () => {
    await using stage = await forwarding({ mitm: { enabled: true } });
    const ca = (await stage.mirror.get('/ca.crt')).body.toString();
    const target = `registry.test:${new URL(stage.registry.url).port}`;
    const socket = connect({
      socket: await openTunnelTo({ port: stage.port }, target),
      servername: 'registry.test',
      ca,
    });
    const head = `GET /v2/${REPOSITORY}/manifests/latest HTTP/1.1\r\nHost: ${target}\r\nAuthorization: Bearer hush\r\n`;
    const answer = new Promise((resolve, reject) => socket.on('error', reject).once('data', resolve));
    socket.write(`${head}Connection: close\r\n\r\n`);
    await answer;
    socket.destroy();
    const line = await stage.mirror.logged(({ msg }) => msg === 'exchange');
    assert.equal(line['method'], 'GET');
    assert.ok('authorization' in (line['requestHeaders'] as object));
    assert.doesNotMatch(JSON.stringify(stage.mirror.log), /hush/);
  });
});

/** Waits for what another process is bound to do. */
async function eventually(holds: () => boolean): Promise<void> {
  const deadline = Date.now() + 30_000;
  while (!holds()) {
    assert.ok(Date.now() < deadline, 'it did not happen');
    await setTimeout(20);
  }
}
