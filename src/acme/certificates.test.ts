import assert from 'node:assert/strict';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { FakeAcme } from '../../test/support/fake-acme.ts';
import { type Events, Telemetry } from '../telemetry/index.ts';
import { AcmeCertificates } from './certificates.ts';
import type { AcmeSpec } from './files.ts';

const directory = mkdtempSync(join(tmpdir(), 'entrepot-acme-'));
after(() => rmSync(directory, { recursive: true, force: true }));
let stages = 0;

const DOMAIN = 'mirror.example.com';
const MINUTE = 60_000;
const PATH = '/.well-known/acme-challenge/the-token';

/** The certificates of one server with one domain, and an ACME server. */
class Stage {
  readonly acme = new FakeAcme(DOMAIN);
  readonly telemetry = new Telemetry();
  readonly ended: Events['certificate.ordered'][] = [];
  readonly spec: AcmeSpec;
  stored = 0;
  now = Date.now();
  #certificates: AcmeCertificates;
  #next = Promise.withResolvers<Events['certificate.ordered']>();

  constructor() {
    const file = join(directory, String(++stages), `${DOMAIN}.pem`);
    this.spec = { domains: [DOMAIN], email: 'ops@example.com', server: this.acme.directory, file };
    this.telemetry.on('certificate.ordered', (event) => {
      this.ended.push(event);
      this.#next.resolve(event);
      this.#next = Promise.withResolvers();
    });
    this.#certificates = this.#create();
  }

  get certificates(): AcmeCertificates {
    return this.#certificates;
  }

  /** Starts, and waits for the end of an order. */
  async order(spec = this.spec): Promise<Events['certificate.ordered']> {
    const next = this.#next.promise;
    await this.#certificates.configure([spec]);
    return next;
  }

  /** Another process takes over. */
  async restart(): Promise<void> {
    await this.#certificates.close();
    this.#certificates = this.#create();
  }

  failure(): Readonly<Record<string, unknown>> | undefined {
    const file = this.spec.file.replace('.pem', '.failure.json');
    try {
      return JSON.parse(readFileSync(file, 'utf8')) as Readonly<Record<string, unknown>>;
    } catch {
      return undefined;
    }
  }

  #create(): AcmeCertificates {
    const certificates = new AcmeCertificates({
      telemetry: this.telemetry,
      openClient: async () => ({ http: this.acme, allowPrivate: [] }),
      readSecret: async (secret) => (typeof secret === 'string' ? secret : JSON.stringify(secret)),
      onStored: () => this.stored++,
      now: () => this.now,
      random: () => 0,
    });
    this.acme.answerAt = () => (certificates.isChallenge(`${PATH}?x`) ? 'offered' : undefined);
    return certificates;
  }
}

describe('AcmeCertificates', () => {
  test('orders, answers the challenge while it is asked, stores for its owner alone, and tells', async () => {
    const stage = new Stage();
    const { outcome, domains } = await stage.order();
    assert.deepEqual([outcome, domains, stage.stored], ['issued', [DOMAIN], 1]);
    assert.deepEqual([stage.acme.seen, stage.certificates.isChallenge(PATH)], [['offered'], false]);
    const pem = readFileSync(stage.spec.file, 'utf8');
    assert.match(pem, /^-----BEGIN PRIVATE KEY-----[\s\S]*-----END PRIVATE KEY-----\n-----BEGIN CERTIFICATE-----/);
    const folder = dirname(stage.spec.file);
    assert.deepEqual(new Set(readdirSync(folder)), new Set(['account.key', `${DOMAIN}.pem`]));
    for (const name of readdirSync(folder)) assert.equal(statSync(join(folder, name)).mode & 0o777, 0o600);
    const { payload, header } = stage.acme.payloads.get('/newAccount') ?? { header: {}, payload: {} };
    assert.deepEqual(payload, { termsOfServiceAgreed: true, contact: ['mailto:ops@example.com'] });
    assert.ok(header['jwk'] !== undefined && header['kid'] === undefined);
    assert.equal(stage.acme.payloads.get('/newOrder')?.header['kid'], 'https://acme.example/account');
    const [status] = stage.certificates.status;
    assert.equal(status?.failure, undefined);
    assert.equal(status?.expiresAt, new X509Certificate(pem.slice(pem.indexOf('-----BEGIN C'))).validToDate.getTime());
    await stage.certificates.close();
    assert.ok(stage.acme.closed > 0);
  });

  test('a stored certificate is not ordered again at a start, and its renewal names it and the known account', async () => {
    const stage = new Stage();
    await stage.order();
    await stage.restart();
    stage.acme.requests.length = 0;
    stage.acme.window = { start: '2020-01-01T00:00:00Z', end: '2020-01-02T00:00:00Z' };
    await stage.certificates.configure([stage.spec]);
    await stage.restart();
    assert.ok(!stage.acme.requests.includes('POST /newOrder'));
    stage.now += 26 * 60 * MINUTE;
    assert.equal((await stage.order()).outcome, 'issued');
    assert.match(String(stage.acme.payloads.get('/newOrder')?.payload?.['replaces']), /^[\w-]+\.[\w-]+$/);
    assert.deepEqual(stage.acme.payloads.get('/newAccount')?.payload, { onlyReturnExisting: true });
    await stage.certificates.close();
  });

  test('a rejected nonce is no failure, and neither is an account that the server has lost', async () => {
    const stage = new Stage();
    stage.acme.refusals.set('/newOrder', { type: 'badNonce' }).set('/finalize', { type: 'badNonce' });
    assert.equal((await stage.order()).outcome, 'issued');
    stage.acme.account = false;
    rmSync(stage.spec.file);
    await stage.restart();
    assert.equal((await stage.order()).outcome, 'issued');
    assert.ok(stage.acme.account);
    await stage.certificates.close();
  });

  test('a failure is remembered across a restart, and waits as long as the server asks', async () => {
    const stage = new Stage();
    stage.acme.refusals.set('/newOrder', { type: 'rateLimited', status: 429, retryAfter: '7200' });
    const failed = await stage.order();
    assert.equal(failed.outcome, 'failed');
    assert.match(failed.reason ?? '', /acme\.example refused: no \/newOrder \(rateLimited\)/);
    assert.equal(failed.nextAttemptAt, stage.now + 120 * MINUTE);
    await stage.restart();
    stage.acme.requests.length = 0;
    stage.now += 119 * MINUTE;
    await stage.certificates.configure([stage.spec]);
    await stage.restart();
    assert.deepEqual(stage.acme.requests, []);
    stage.now += 2 * MINUTE;
    assert.equal((await stage.order()).outcome, 'issued');
    assert.equal(stage.failure(), undefined);
    await stage.certificates.close();
  });

  test('with other domains, an earlier failure counts no more', async () => {
    const stage = new Stage();
    stage.acme.refusals.set('/newOrder', { type: 'rejectedIdentifier' });
    const other = { ...stage.spec, domains: [DOMAIN, 'wrong.example.com'] };
    assert.equal((await stage.order(other)).outcome, 'failed');
    assert.equal((await stage.order()).outcome, 'issued');
    await stage.certificates.close();
  });

  test('a reload tries again, a quarter of an hour after the last attempt', async () => {
    const stage = new Stage();
    stage.acme.refusals.set('/newOrder', { type: 'rateLimited', retryAfter: '86400' });
    await stage.order();
    stage.now += 16 * MINUTE;
    assert.equal((await stage.order()).outcome, 'issued');
    await stage.certificates.close();
  });

  test('an order is noted before its first request, so that a crash within it counts', async () => {
    const stage = new Stage();
    let noted: unknown;
    stage.acme.onRequest = () => (noted ??= stage.failure()?.['error']);
    await stage.order();
    assert.equal(noted, 'the server stopped before the order was complete');
    await stage.certificates.close();
  });

  test('a stop within an order is no failure', async () => {
    const stage = new Stage();
    const asked = Promise.withResolvers<unknown>();
    stage.acme.gate = new Promise(() => {});
    stage.acme.onRequest = asked.resolve;
    await stage.certificates.configure([stage.spec]);
    await asked.promise;
    assert.ok(stage.certificates.status[0]?.isOrdering);
    await stage.certificates.close();
    assert.deepEqual([stage.failure(), stage.ended], [undefined, []]);
  });

  test('a certificate for another key is refused, and the stored one stays', async () => {
    const stage = new Stage();
    await stage.order();
    const before = readFileSync(stage.spec.file, 'utf8');
    await stage.restart();
    stage.now += 400 * 24 * 60 * MINUTE;
    stage.acme.otherKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
    const { outcome, reason } = await stage.order();
    assert.equal(outcome, 'failed');
    assert.match(reason ?? '', /a certificate for mirror\.example\.com, expected one for .* with the key of the order/);
    assert.equal(readFileSync(stage.spec.file, 'utf8'), before);
    await stage.certificates.close();
  });

  test('a server without HTTP-01, and an account key that cannot be read, are named', async () => {
    const stage = new Stage();
    stage.acme.challenge = 'dns-01';
    assert.match((await stage.order()).reason ?? '', /proves mirror\.example\.com by dns-01 only, .* answers http-01/);
    const broken = new Stage();
    mkdirSync(dirname(broken.spec.file), { recursive: true });
    writeFileSync(join(dirname(broken.spec.file), 'account.key'), 'nothing');
    assert.match((await broken.order()).reason ?? '', /account key in .*account\.key cannot be used; move it away/);
    await Promise.all([stage.certificates.close(), broken.certificates.close()]);
  });

  test('nothing is ordered where nothing can be written', async () => {
    const stage = new Stage();
    writeFileSync(dirname(stage.spec.file), 'a file in the place of the directory');
    const { outcome, reason } = await stage.order();
    assert.deepEqual([outcome, stage.acme.requests], ['failed', []]);
    assert.match(reason ?? '', /ENOTDIR|EEXIST/);
    await stage.certificates.close();
  });

  test('an external account is bound to a new account alone', async () => {
    const stage = new Stage();
    const spec = { ...stage.spec, eab: { keyId: 'k', hmacKey: 'c2VjcmV0' } };
    await stage.order(spec);
    const { payload } = stage.acme.payloads.get('/newAccount') ?? {};
    assert.ok(payload !== undefined && 'externalAccountBinding' in payload);
    await stage.certificates.close();
  });

  test('a stored certificate that cannot be read is ordered again', async () => {
    const stage = new Stage();
    mkdirSync(dirname(stage.spec.file), { recursive: true });
    writeFileSync(stage.spec.file, 'half a certifi');
    assert.equal((await stage.order()).outcome, 'issued');
    await stage.certificates.close();
  });
});
