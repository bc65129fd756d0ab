import assert from 'node:assert/strict';
import { readdir, readFile, stat, writeFile } from 'node:fs/promises';
import { Agent, request } from 'node:https';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { ENTREPOT, type LogLine, type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { needsGoTools } from '../support/go-tools.ts';
import { type Pebble, preparePebble } from '../support/pebble.ts';
import { check, freePort, needs, Workspace } from '../support/processes.ts';

/** Seconds. Renewed after a third of them: pebble's renewal window of two days has always begun, and orders keep a distance. */
const VALIDITY = 45;

const DOMAINS = ['mirror.example.com', 'images.example.com'];

interface Listener {
  readonly address: string;
  readonly redirect_to_https?: boolean;
  readonly tls?: { readonly acme: object };
}

/** A server with a plain listener, and an HTTPS one whose certificate it orders. */
interface Stage {
  readonly pebble: Pebble;
  readonly config: { readonly listen: readonly [Listener, Listener] };
  readonly plainPort: number;
  readonly tlsPort: number;
}

async function prepareStage(
  workspace: Workspace,
  options: { validity: number; eab?: [string, string] },
): Promise<Stage> {
  const { validity, eab } = options;
  const [plainPort, tlsPort] = [await freePort(), await freePort()];
  const account = eab === undefined ? {} : { externalAccount: eab };
  const pebble = await preparePebble(workspace, { httpPort: plainPort, domains: DOMAINS, validity, ...account });
  const acme = {
    domains: DOMAINS,
    email: 'ops@example.com',
    server: pebble.directory,
    ca_file: pebble.caFile,
    ...(eab === undefined ? {} : { eab: { key_id: eab[0], hmac_key: eab[1] } }),
  };
  const listen: readonly [Listener, Listener] = [
    { address: `127.0.0.1:${plainPort}`, redirect_to_https: true },
    { address: `127.0.0.1:${tlsPort}`, tls: { acme } },
  ];
  return { pebble, plainPort, tlsPort, config: { listen } };
}

/** One request to /healthz by HTTPS, checked against a root. @returns the serial number of the certificate */
function ask(port: number, { ca, agent = false }: { ca: string; agent?: Agent | false }): Promise<string> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/healthz', servername: DOMAINS[0], ca, agent };
    const asked = request(options, (response) => {
      const { serialNumber } = (response.socket as TLSSocket).getPeerCertificate();
      response.resume().on('end', () => {
        if (response.statusCode === 200) resolve(serialNumber);
        else reject(new Error(`status ${response.statusCode}`));
      });
      response.on('error', reject);
    });
    asked.on('error', reject).end();
  });
}

/** The log lines of one kind, when there are `count` of them. */
async function lines(
  running: RunningEntrepot,
  kind: { msg: string; outcome?: string; count: number },
): Promise<LogLine[]> {
  const { msg, outcome, count } = kind;
  const deadline = Date.now() + 90_000;
  for (;;) {
    const found = running
      .logs()
      .filter((line) => line.msg === msg && (outcome === undefined || line['outcome'] === outcome));
    if (found.length >= count) return found;
    assert.ok(Date.now() < deadline, `no ${msg} ${outcome ?? ''}:\n${running.process.output().slice(-4000)}`);
    await sleep(20);
  }
}

describe('a certificate from an ACME server', { ...needs('openssl'), ...needsGoTools('pebble') }, () => {
  let workspace: Workspace;
  let stage: Stage;
  let entrepot: RunningEntrepot;
  let root: string;

  before(async () => {
    workspace = await Workspace.open();
    stage = await prepareStage(workspace, { validity: VALIDITY });
    await stage.pebble.start();
    entrepot = await startEntrepot(workspace, stage.config);
    root = await stage.pebble.root();
  });
  after(() => workspace.close());

  test('is ordered at the start, and says what the listener waits for', async () => {
    const refusals = entrepot.logs().filter(({ msg }) => msg.includes('refuses connections until'));
    assert.match(
      String(refusals[0]?.msg),
      new RegExp(`127.0.0.1:${stage.tlsPort} refuses .* for ${DOMAINS.join(', ')}`),
    );
    await lines(entrepot, { msg: 'certificate.renewed', count: 1 });
    await ask(stage.tlsPort, { ca: root });
    const status = await check(['sh', ENTREPOT, 'status', '--cache-dir', entrepot.dir]);
    assert.match(
      status,
      /certificate +mirror\.example\.com, images\.example\.com: expires .*; next order at 127\.0\.0\.1/,
    );
  });

  test('lies in the cache directory, for its owner alone', async () => {
    const acme = join(entrepot.dir, 'acme');
    const files = (await readdir(acme, { recursive: true })).filter((name) => name.includes('/'));
    assert.deepEqual(new Set(files.map((name) => name.split('/')[1])), new Set(['account.key', `${DOMAINS[0]}.pem`]));
    for (const file of files) assert.equal((await stat(join(acme, file))).mode & 0o777, 0o600);
  });

  test('leaves every other plain request to the redirect', async () => {
    for (const path of ['/v2/', '/.well-known/acme-challenge/other']) {
      const response = await fetch(`http://127.0.0.1:${stage.plainPort}${path}`, { redirect: 'manual' });
      assert.equal(response.status, 308);
    }
  });

  test('is renewed under load, and no request fails', async () => {
    const serials = new Set<string>();
    const kept = new Agent({ keepAlive: true, maxSockets: 1 });
    let requests = 0;
    const state = { isRenewed: false };
    const load = async (agent: Agent | false): Promise<void> => {
      for (let more = 20; !state.isRenewed || more > 0; requests++) {
        const serial = await ask(stage.tlsPort, { ca: root, agent });
        if (agent === false) serials.add(serial);
        if (state.isRenewed) more--;
      }
    };
    const running = Promise.all([load(false), load(false), load(kept)]);
    const renewed = lines(entrepot, { msg: 'certificate.renewed', count: 2 }).finally(() => (state.isRenewed = true));
    await Promise.all([running, renewed]);
    kept.destroy();
    assert.ok(serials.size >= 2, `${requests} requests, and one certificate`);
    assert.ok(requests > 100, `${requests} requests`);
  });

  test('stays in use while the ACME server is down, and the failure is told', async () => {
    await stage.pebble.stop();
    const [failed] = await lines(entrepot, { msg: 'certificate.ordered', outcome: 'failed', count: 1 });
    assert.equal(failed?.level, 'warn');
    assert.match(String(failed?.['reason']), /127\.0\.0\.1/);
    assert.ok(Date.parse(String(failed?.['next'])) > Date.now());
    await ask(stage.tlsPort, { ca: root });
    const metrics = await (await fetchMetrics(stage.tlsPort, root)).text();
    assert.match(metrics, /entrepot_acme_orders_total\{outcome="failed"\} 1/);
    assert.match(metrics, /entrepot_tls_certificate_expiry_timestamp_seconds\{listener="127\.0\.0\.1:\d+"\} 1\d{9}/);
  });

  test('is used at once after a restart, which remembers the failure', async () => {
    await entrepot.stop();
    entrepot = await startEntrepot(workspace, stage.config, { dir: entrepot.dir });
    await ask(stage.tlsPort, { ca: root });
    const status = await check(['sh', ENTREPOT, 'status', '--cache-dir', entrepot.dir]);
    assert.match(status, /next order at 127\.0\.0\.1:\d+ in .*; 1 order failed: /);
    assert.deepEqual(
      entrepot.logs().filter(({ msg }) => msg === 'certificate.ordered'),
      [],
    );
  });
});

describe('a certificate with an external account', { ...needs('openssl'), ...needsGoTools('pebble') }, () => {
  let workspace: Workspace;

  before(async () => {
    workspace = await Workspace.open();
  });
  after(() => workspace.close());

  test('is ordered again for other domains after a reload, and the old one is used meanwhile', async () => {
    const eab: [string, string] = ['kid-1', 'zWNDZM6eQGHWpSRTPal5eIUYFTu7EajVIoguysqZ9wG44nMEtx3MUAsUDkMTQ12W'];
    const stage = await prepareStage(workspace, { validity: 90 * 86_400, eab });
    await stage.pebble.start();
    const [plain, secure] = stage.config.listen;
    await refusesForgery(workspace, stage.pebble.directory);
    const one = { ...stage.config, listen: [plain, withDomains(secure, DOMAINS.slice(0, 1))] };
    const entrepot = await startEntrepot(workspace, one);
    await lines(entrepot, { msg: 'certificate.renewed', count: 1 });
    const ca = await stage.pebble.root();
    const before = await ask(stage.tlsPort, { ca });
    const [ready] = await lines(entrepot, { msg: 'ready', count: 1 });
    const file = String(ready?.['config']);
    const written = JSON.parse(await readFile(file, 'utf8')) as object;
    await writeFile(file, JSON.stringify({ ...written, listen: stage.config.listen }));
    entrepot.process.kill('SIGHUP');
    await ask(stage.tlsPort, { ca });
    const renewed = await lines(entrepot, { msg: 'certificate.renewed', count: 2 });
    assert.match(String(renewed[1]?.['subject']), /DNS:images\.example\.com/);
    assert.notEqual(await ask(stage.tlsPort, { ca }), before);
  });
});

/** An ACME server with a certificate of an unknown authority gets no request, whatever is accepted of upstreams. */
async function refusesForgery(workspace: Workspace, server: string): Promise<void> {
  const acme = { domains: DOMAINS, server };
  const forged = await startEntrepot(workspace, {
    listen: ['127.0.0.1:0', { address: '127.0.0.1:0', tls: { acme } }],
    transport: { insecure_skip_verify: true },
  });
  const [failed] = await lines(forged, { msg: 'certificate.ordered', count: 1 });
  assert.match(String(failed?.['reason']), /certificate/);
  await forged.stop();
}

function withDomains(listener: Listener, domains: readonly string[]): object {
  return { ...listener, tls: { acme: { ...listener.tls?.acme, domains } } };
}

async function fetchMetrics(port: number, ca: string): Promise<Response> {
  return new Promise((resolve, reject) => {
    const options = { host: '127.0.0.1', port, path: '/metrics', servername: DOMAINS[0], ca, agent: false };
    const asked = request(options, (response) => {
      let text = '';
      response.setEncoding('utf8').on('data', (part: string) => (text += part));
      response.on('end', () => resolve(new Response(text)));
    });
    asked.on('error', reject).end();
  });
}
