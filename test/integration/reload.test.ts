import assert from 'node:assert/strict';
import { once } from 'node:events';
import { copyFile, readFile, writeFile } from 'node:fs/promises';
import { Agent, get, type IncomingMessage } from 'node:http';
import { buffer } from 'node:stream/consumers';
import { describe, test } from 'node:test';
import { connect, type TLSSocket } from 'node:tls';
import { ENTREPOT, startEntrepot } from '../support/app.ts';
import { makeCertificate } from '../support/certificates.ts';
import { startCountingRelay } from '../support/counting-relay.ts';
import { buildImage, type Content, content, noise, platformOf } from '../support/image.ts';
import { type Mirror, startMirror } from '../support/mirror.ts';
import { run, Workspace } from '../support/processes.ts';
import { eventually } from '../support/pull-stage.ts';
import { rawRequest } from '../support/raw-request.ts';
import { Gate } from '../support/scripted/faults.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';

// Another configuration while the server runs: taken up whole or not at all, and not felt by clients that it does not concern.

const REPOSITORY = 'team/app';
const image = buildImage({ seed: 'reload' });
const layer = platformOf(image, 'amd64').layers[0] as Content;
const LATEST = `${REPOSITORY}/manifests/latest`;

describe('a reload', () => {
  test('makes a new registry known at once, and an old one unknown', async () => {
    await using upstream = await startScriptedUpstream({});
    upstream.add(image, REPOSITORY, ['latest']);
    await using mirror = await startMirror({ registries: { one: { upstreams: [upstream.url] } } });
    assert.equal((await mirror.get(`/v2/one/${LATEST}`)).status, 200);
    assert.equal((await mirror.get(`/two/v2/${LATEST}`)).status, 404);

    const answer = await mirror.reload({ registries: { two: { upstreams: [upstream.url] } } });
    assert.equal(answer.outcome, 'changed');
    assert.deepEqual(answer.registries, { added: ['two'], removed: ['one'], changed: [] });
    assert.equal((await mirror.get(`/two/v2/${LATEST}`)).status, 200);
    assert.equal((await mirror.get(`/one/v2/${LATEST}`)).status, 404);
    assert.deepEqual(
      [...(await mirror.app.status()).upstreams!].map(({ registry }) => registry),
      ['two'],
    );
  });

  test('changes nothing where the configuration is wrong, and says where', async () => {
    await using upstream = await startScriptedUpstream({});
    upstream.add(image, REPOSITORY, ['latest']);
    const registries = { one: { upstreams: [upstream.url] } };
    await using mirror = await startMirror({ registries });
    const answer = await mirror.reload({
      registries: { two: { upstreams: [upstream.url] } },
      timeouts: { idle_timeout: 'soon' },
    });
    assert.equal(answer.outcome, 'refused');
    assert.match(answer.problems.join('\n'), /^ENTREPOT_CONFIG:1:\d+ {2}timeouts\.idle_timeout: found "soon"/m);
    assert.equal((await mirror.get(`/one/v2/${LATEST}`)).status, 200);
    assert.equal((await mirror.get(`/two/v2/${LATEST}`)).status, 404);
    await mirror.logged(({ level, msg }) => level === 'error' && msg === 'config.reloaded');
  });

  test('is refused for a file that is missing or cannot be used, which is named', async () => {
    await using upstream = await startScriptedUpstream({});
    await using workspace = await Workspace.open();
    await using mirror = await startMirror({ registries: { up: { upstreams: [upstream.url] } } });
    const [bad, gone] = [await workspace.file('bad.pem', 'no certificate'), workspace.path('gone')];
    const url = 'https://127.0.0.1:1';
    for (const [config, expected] of [
      [
        { registries: { up: { upstreams: [{ url, tls: { ca_file: gone } }] } } },
        /registries\.up\.upstreams\[0\]\.tls\.ca_file: .*gone does not exist/,
      ],
      [
        { registries: { up: { upstreams: [{ url, tls: { ca_file: bad } }] } } },
        /^ENTREPOT_CONFIG:1:\d+ {2}registries\.up\.upstreams\[0\]\.tls\.ca_file: .*no certificate of an authority/,
      ],
      [
        { registries: { up: { upstreams: [{ url, tls: { cert_file: bad, key_file: bad } }] } } },
        /registries\.up\.upstreams\[0\]\.tls\.key_file: .* holds no private key/,
      ],
      [
        { registries: { up: { upstreams: [{ url, credentials: { username: 'x', password: { file: gone } } }] } } },
        /password\.file: .*gone does not exist/,
      ],
      [{ transport: { ca_file: bad } }, /transport\.ca_file: .* holds no certificate/],
      [{ registry_map: bad }, /registry_map/],
    ] as const) {
      const { outcome, problems } = await mirror.reload(config);
      assert.equal(outcome, 'refused');
      assert.match(problems.join(), expected);
    }
    assert.deepEqual(
      mirror.app.catalogue.byName('up')?.upstreams.map((each) => each.url),
      [upstream.url],
    );
  });

  test('names what takes a restart, and takes up the rest', async () => {
    await using mirror = await startMirror({});
    const next = { listen: '127.0.0.1:1', cache: { max_size: '5GB', dir: '/nowhere' }, log: { access: false } };
    const answer = await mirror.reload(next);
    assert.deepEqual(answer.changed, ['cache.max_size', 'log.access']);
    assert.deepEqual(answer.restart, ['cache.dir', 'listen']);
    const { cache } = await mirror.app.status();
    assert.ok(cache !== 'off' && cache.maxSize === 5_000_000_000 && cache.dir === mirror.dir);
    assert.deepEqual((await mirror.reload(next)).changed, []);
  });
});

describe('requests beside reloads', () => {
  const RELOADS = 100;

  test(`none fails in ${RELOADS} reloads, be what they want cold or warm`, async () => {
    await using upstream = await startScriptedUpstream({});
    upstream.add(image, REPOSITORY, ['latest']);
    await using one = await startCountingRelay(upstream.url);
    await using two = await startCountingRelay(upstream.url);
    // Each time: where the registry is, how it is reached, who else there is, what is kept and what is logged.
    const configurations = [
      {
        registries: { up: { upstreams: [one.url] }, odd: { upstreams: [one.url] } },
        transport: { dial_timeout: '5s' },
        cache: { tags: { fresh_for: '0s' }, max_size: '1GB' },
        log: { access: true },
      },
      {
        registries: { up: { upstreams: [two.url], aliases: ['u'] }, even: { upstreams: [upstream.url] } },
        transport: { dial_timeout: '6s' },
        cache: { tags: { fresh_for: '0s' }, max_size: '2GB' },
        log: { access: false },
      },
    ] as const;
    await using mirror = await startMirror(configurations[0]);
    const { client, failures, count } = startClients(mirror, (at) => {
      const cold = content('application/octet-stream', noise(`cold ${at}`, 60_000));
      upstream.addBlob(REPOSITORY, cold);
      return [
        [`/up/v2/${LATEST}`, image.index.bytes],
        [`/up/v2/${REPOSITORY}/blobs/${layer.digest}`, layer.bytes],
        [`/up/v2/${REPOSITORY}/blobs/${cold.digest}`, cold.bytes],
      ];
    });
    const clients = [client(), client(), client(), client()];
    for (let at = 1; at <= RELOADS; at++) {
      const { outcome, problems } = await mirror.reload(configurations[at % 2]);
      assert.equal(outcome, 'changed', problems.join());
      // Something happens under each of them.
      await count(at * 4);
    }
    await Promise.all(clients.map((stop) => stop()));
    assert.deepEqual(failures, []);
    // The last one was the first: of the other nothing stays open.
    await eventually(() => assert.equal(two.open, 0));
    assert.ok(one.opened > 0 && two.opened > 0);
  });

  test('keep the connections, circuits and tokens of what did not change', async () => {
    const credentials = { username: 'robot', password: 'secret' };
    await using upstream = await startScriptedUpstream({ personality: 'dockerHub', credentials });
    upstream.add(image, REPOSITORY, ['latest']);
    await using relay = await startCountingRelay(upstream.url);
    const up = { upstreams: [{ url: relay.url, credentials }] };
    const cache = { tags: { fresh_for: '0s' } };
    await using mirror = await startMirror({ registries: { up }, cache });
    const asked = async (): Promise<void> => assert.equal((await mirror.get(`/up/v2/${LATEST}`)).status, 200);
    await asked();
    await asked();
    const { opened } = relay;
    const tokens = upstream.count({ at: 'token' });
    for (const [at, more] of [
      { registries: { up, more: { upstreams: ['http://127.0.0.1:1'] } } },
      { registries: { up: { ...up, aliases: ['u'] } }, known_registries: false, default_registry: 'up' },
      { registries: { up }, cache: { ...cache, max_size: '3GB' }, log: { access: false } },
      { registries: { up }, default_registry: 'ghcr.io', timeouts: { idle_timeout: '9s' } },
    ].entries()) {
      const { outcome, problems } = await mirror.reload({ cache, ...more });
      assert.equal(outcome, 'changed', problems.join());
      await asked();
      assert.equal(relay.opened, opened, `a connection more after reload ${at}`);
      assert.equal(upstream.count({ at: 'token' }), tokens);
    }
    const other = { username: 'robot', password: 'another' };
    await mirror.reload({ registries: { up: { upstreams: [{ url: relay.url, credentials: other }] } }, cache });
    await eventually(() => assert.equal(relay.open, 0));
    // Back where it was, it keeps a connection again.
    await mirror.reload({ registries: { up }, cache });
    await asked();
    const again = relay.opened;
    await asked();
    await asked();
    assert.equal(relay.opened, again);
  });

  test('keep their connections where another upstream gets a longer time, or another way', async () => {
    await using upstream = await startScriptedUpstream({});
    upstream.add(image, REPOSITORY, ['latest']);
    await using relay = await startCountingRelay(upstream.url);
    const up = { upstreams: [relay.url] };
    const more = (transport: object): object => ({ upstreams: [{ url: 'http://127.0.0.1:1', transport }] });
    const cache = { tags: { fresh_for: '0s' } };
    await using mirror = await startMirror({ registries: { up, more: more({}) }, cache });
    const asked = async (): Promise<void> => assert.equal((await mirror.get(`/up/v2/${LATEST}`)).status, 200);
    await asked();
    const { opened } = relay;
    const answer = await mirror.reload({ registries: { up, more: more({ response_header_timeout: '10m' }) }, cache });
    assert.deepEqual(answer.registries, { added: [], removed: [], changed: ['more'] });
    await asked();
    assert.equal(relay.opened, opened);
  });

  test('use the next transport, which is named once and not for each registry', async () => {
    await using workspace = await Workspace.open();
    await using upstream = await startScriptedUpstream({});
    upstream.add(image, REPOSITORY, ['latest']);
    await using relay = await startCountingRelay(upstream.url);
    const [one, other] = [await makeCertificate(workspace, 'one'), await makeCertificate(workspace, 'other')];
    const caFile = workspace.path('ca.pem');
    await copyFile(one.certFile, caFile);
    const registries = {
      up: { upstreams: [relay.url] },
      private: { upstreams: [{ url: relay.url, credentials: { username: 'robot', password: 'secret' } }] },
      slow: { upstreams: [{ url: relay.url, transport: { dial_timeout: '9s' } }] },
    };
    const cache = { tags: { fresh_for: '0s' } };
    const config = { registries, cache, transport: { ca_file: caFile } };
    await using mirror = await startMirror(config);
    const asked = async (): Promise<void> => assert.equal((await mirror.get(`/up/v2/${LATEST}`)).status, 200);
    await asked();
    const none = { added: [], removed: [], changed: [] };
    const next = { ...config, transport: { ca_file: caFile, dial_timeout: '6s', allow_private: ['10.0.0.0/8'] } };
    const answer = await mirror.reload(next);
    assert.deepEqual(answer.changed, ['transport.allow_private', 'transport.dial_timeout']);
    assert.deepEqual(answer.registries, none);
    await eventually(() => assert.equal(relay.open, 0));
    await asked();

    await copyFile(other.certFile, caFile);
    const renewed = await mirror.reload(next);
    assert.deepEqual([renewed.outcome, renewed.changed], ['changed', ['transport.ca_file']]);
    assert.deepEqual(renewed.registries, none);
    await eventually(() => assert.equal(relay.open, 0));
    assert.equal((await mirror.reload(next)).outcome, 'unchanged');
  });

  test('keep the connections of a mirror route that did not change, and close those of one that is gone', async () => {
    await using upstream = await startScriptedUpstream({});
    await using relay = await startCountingRelay(upstream.url);
    const credentials = { username: 'robot', password: 'secret' };
    const mirrors = [{ name: 'site', prefix: '/site', upstream: relay.url, credentials }];
    await using mirror = await startMirror({ mirrors });
    await mirror.get('/site/x');
    assert.equal((await mirror.reload({ mirrors, log: { access: false } })).outcome, 'changed');
    await mirror.get('/site/x');
    assert.equal(relay.opened, 1);
    await mirror.reload({});
    await eventually(() => assert.equal(relay.open, 0));
  });

  test('end under what they began with, and are joined by those who come later', async () => {
    await using upstream = await startScriptedUpstream({});
    await using other = await startScriptedUpstream({});
    const blob = content('application/octet-stream', noise('begun before', 2_000_000));
    for (const each of [upstream, other]) {
      each.add(image, REPOSITORY, ['latest']);
      each.addBlob(REPOSITORY, blob);
    }
    await using relay = await startCountingRelay(upstream.url);
    // Who shares connections with others keeps them for as long as this, gone or not.
    const transport = { idle_conn_timeout: '100ms' };
    await using mirror = await startMirror({
      registries: { up: { upstreams: [relay.url] }, gone: { upstreams: [relay.url] } },
      transport,
    });
    const gate = new Gate();
    upstream.fault(blob.digest, { stallAt: 1_000_000, stallGate: gate });
    const path = `/up/v2/${REPOSITORY}/blobs/${blob.digest}`;
    const first = await ask(mirror, path);
    // A manifest that was asked for and not yet answered, at a registry that is about to go.
    const held = upstream.hold({ kind: 'manifest' });
    const waiting = mirror.get(`/gone/v2/${LATEST}`);
    await held.arrived();

    await mirror.reload({ registries: { up: { upstreams: [other.url] } }, transport });
    assert.equal((await mirror.get(`/gone/v2/${LATEST}`)).status, 404);
    const second = await ask(mirror, path);
    assert.equal(second.headers['x-cache'], 'JOIN');
    held.open();
    gate.open();
    assert.equal((await waiting).status, 200);
    for (const answer of [first, second]) assert.ok((await buffer(answer)).equals(blob.bytes));
    assert.equal(other.blobBodies().length, 0);
    await eventually(() => assert.equal(relay.open, 0));
  });
});

describe('what a reload takes up', () => {
  test('the level of the log, and whether requests are logged', async () => {
    await using mirror = await startMirror({});
    await mirror.reload({ log: { level: 'error', access: false } });
    const lines = mirror.log.length;
    await mirror.get('/v2/');
    await mirror.reload({ log: { level: 'debug' } });
    await mirror.get('/v2/');
    await mirror.logged(({ msg }) => msg === 'request');
    assert.equal(mirror.log.slice(lines).filter(({ msg }) => msg === 'request').length, 1);
  });

  test('how long tags are fresh', async () => {
    await using upstream = await startScriptedUpstream({});
    upstream.add(image, REPOSITORY, ['latest']);
    const registries = { up: { upstreams: [upstream.url] } };
    await using mirror = await startMirror({ registries });
    const outcome = async (): Promise<unknown> => (await mirror.get(`/up/v2/${LATEST}`)).headers['x-cache'];
    assert.deepEqual([await outcome(), await outcome()], ['MISS', 'HIT']);
    await mirror.reload({ registries, cache: { tags: { fresh_for: '0s' } } });
    assert.equal(await outcome(), 'REVALIDATED');
    await mirror.reload({ registries, cache: { tags: 'never' } });
    assert.equal(await outcome(), 'PASS');
    await mirror.reload({ registries });
    assert.equal(await outcome(), 'HIT');
  });

  test('certificates, for connections to come', async () => {
    await using workspace = await Workspace.open();
    const [old, next] = [await makeCertificate(workspace, 'old'), await makeCertificate(workspace, 'next')];
    const files = { cert_file: workspace.path('tls.crt'), key_file: workspace.path('tls.key') };
    await copyFile(old.certFile, files.cert_file);
    await copyFile(old.keyFile, files.key_file);
    const config = { listen: [{ address: '127.0.0.1:0', tls: files }] };
    await using mirror = await startMirror(config);
    const before = await shake(mirror);
    assert.equal(before.getPeerCertificate().subject.CN, 'old');
    await copyFile(next.certFile, files.cert_file);
    const refused = await mirror.reload();
    assert.match(refused.problems.join(), /The key in .*tls\.key does not belong to the certificate/);
    await copyFile(next.keyFile, files.key_file);
    assert.equal((await mirror.reload()).outcome, 'unchanged');
    const after = await shake(mirror);
    assert.equal(after.getPeerCertificate().subject.CN, 'next');
    // A connection that was there goes on.
    before.write('GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n');
    assert.match((await buffer(before)).toString(), /^HTTP\/1\.1 200 /);
    after.destroy();
    await mirror.logged(({ msg, subject }) => msg === 'certificate.renewed' && String(subject).includes('localhost'));
  });

  test('metrics tell of it', async () => {
    await using mirror = await startMirror({});
    const metric = async (name: string): Promise<string | undefined> =>
      new RegExp(`^${name} (.*)$`, 'm').exec((await mirror.get('/metrics')).body.toString())?.[1];
    assert.equal(await metric('entrepot_config_last_reload_successful'), '1');
    await mirror.reload({ log: { level: 'silly' } });
    assert.equal(await metric('entrepot_config_last_reload_successful'), '0');
    await mirror.reload({ log: { access: false } });
    assert.equal(await metric('entrepot_config_last_reload_successful'), '1');
    assert.equal(await metric('entrepot_config_reload_total\\{result="refused"\\}'), '1');
    assert.equal(await metric('entrepot_config_reload_total\\{result="changed"\\}'), '1');
  });

  test('many at once are two: the one that runs, and one for all who asked meanwhile', async () => {
    await using mirror = await startMirror({});
    const answers = await Promise.all(Array.from({ length: 50 }, () => mirror.reload()));
    assert.equal(new Set(answers).size, 2);
    assert.equal(mirror.log.filter(({ msg }) => msg === 'config.reloaded').length, 2);
  });
});

describe('the program', () => {
  test('reloads on SIGHUP and on `entrepot reload`, and says what came of it', async () => {
    await using workspace = await Workspace.open();
    await using upstream = await startScriptedUpstream({});
    upstream.add(image, REPOSITORY, ['latest']);
    const config = { known_registries: false, registries: { one: { upstreams: [upstream.url] } } };
    const running = await startEntrepot(workspace, { ...config, default_registry: 'one' });
    await eventually(() => assert.ok(running.logs().some(({ msg }) => msg === 'ready')));
    const file = String(running.logs().find(({ msg }) => msg === 'ready')?.['config']);
    const written = JSON.parse(await readFile(file, 'utf8')) as Record<string, unknown>;
    const registries = { ...config.registries, two: { upstreams: [upstream.url] } };
    const known = async (name: string): Promise<number> =>
      (await rawRequest(running.host, { path: `/${name}/v2/${LATEST}` })).status;
    assert.equal(await known('two'), 404);

    await writeFile(file, JSON.stringify({ ...written, registries }));
    running.process.kill('SIGHUP');
    await eventually(() => assert.ok(running.logs().some(({ msg }) => msg === 'config.reloaded')));
    assert.equal(await known('two'), 200);

    await writeFile(file, JSON.stringify({ ...written, listen: ':1', limits: { max_connections: 99 } }));
    const command = ['sh', ENTREPOT, 'reload', '--config', file];
    const env = { ...process.env, HOME: workspace.dir, NODE_NO_WARNINGS: '1' };
    const done = await run(command, { timeout: 20_000, env });
    assert.equal(done.code, 0, done.stderr);
    assert.match(
      done.stdout,
      /changed: limits\.max_connections, registries\.two\n {2}registries removed: two\n {2}waiting for a restart: listen\n/,
    );
    assert.equal(await known('two'), 404);

    await writeFile(file, `${JSON.stringify({ ...written, registries })}\n# and then\nlisten: [`);
    running.process.kill('SIGHUP');
    await eventually(() => assert.ok(running.logs().some(({ outcome }) => outcome === 'refused')));
    const problems = running.logs().find(({ outcome }) => outcome === 'refused')?.['problems'] as readonly string[];
    assert.match(problems.join(), /\.yaml:\d+:\d+/);
    const refused = await run(command, { timeout: 20_000, env });
    assert.equal(refused.code, 78, refused.stdout);
    assert.deepEqual([await known('one'), await known('two')], [200, 404]);

    // The server hears of it from the command too: its log and its metrics tell.
    await writeFile(file, JSON.stringify({ ...written, registries, lisen: ':1' }));
    const told = await run(command, { timeout: 20_000, env });
    assert.equal(told.code, 78, told.stdout);
    assert.match(told.stderr, /The server refused .* and keeps its configuration:\n.*lisen: unknown option/);
    assert.ok(running.logs().some((line) => /lisen/.test(String(line['problems']))));
    const metrics = String((await rawRequest(running.host, { path: '/metrics' })).body);
    assert.match(metrics, /^entrepot_config_last_reload_successful 0$/m);

    // As an editor leaves it for a moment.
    await writeFile(file, '');
    running.process.kill('SIGHUP');
    await eventually(() =>
      assert.ok(running.logs().some((line) => /found nothing in it/.test(String(line['problems'])))),
    );
    assert.equal(await known('one'), 200);
    assert.equal(await running.stop(), 0);
  });

  test('takes SIGHUP at its start and at its stop for nothing worse than a reload', async () => {
    await using workspace = await Workspace.open();
    const running = await startEntrepot(workspace, {});
    for (let at = 0; at < 20; at++) running.process.kill('SIGHUP');
    await eventually(() => assert.ok(running.logs().some(({ msg }) => msg === 'config.reloaded')));
    const stopped = running.stop();
    for (let at = 0; at < 20; at++) running.process.kill('SIGHUP');
    assert.equal(await stopped, 0);
    assert.ok(running.logs().filter(({ msg }) => msg === 'config.reloaded').length <= 20);
  });
});

async function ask({ url }: Mirror, path: string): Promise<IncomingMessage> {
  const [response] = (await once(get(url + path, { agent: false }), 'response')) as [IncomingMessage];
  return response;
}

async function shake({ host }: Mirror): Promise<TLSSocket> {
  const [name, port] = host.split(':');
  const socket = connect({ host: name, port: Number(port), rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  return socket;
}

type Wanted = readonly (readonly [path: string, expected: Buffer])[];

/** Clients with kept connections that ask for one thing after the other. @param wanted gives what a round asks for */
function startClients({ url }: Mirror, wanted: (round: number) => Wanted) {
  const failures: string[] = [];
  const watchers = new Set<() => void>();
  let rounds = 0;
  let answered = 0;

  async function fetchOne(agent: Agent, [path, expected]: Wanted[number]): Promise<void> {
    try {
      const [response] = (await once(get(url + path, { agent }), 'response')) as [IncomingMessage];
      const body = await buffer(response);
      if (response.statusCode !== 200 || !body.equals(expected)) {
        failures.push(`${path}: ${response.statusCode}, ${body.length} bytes: ${body.toString().slice(0, 200)}`);
      }
    } catch (error) {
      failures.push(`${path}: ${String(error)}`);
    }
    answered += 1;
    for (const look of watchers) look();
  }

  /** Begins; the function given ends it. */
  function client(): () => Promise<void> {
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    const ending = new AbortController();
    const run = async (): Promise<void> => {
      while (!ending.signal.aborted) for (const each of wanted(rounds++)) await fetchOne(agent, each);
    };
    const running = run();
    return async () => {
      ending.abort();
      await running;
      agent.destroy();
    };
  }

  /** Resolves when so many were answered. */
  function count(number: number): Promise<void> {
    return new Promise((resolve) => {
      const look = (): void => {
        if (answered < number) return;
        watchers.delete(look);
        resolve();
      };
      watchers.add(look);
      look();
    });
  }
  return { client, failures, count };
}
