import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readFileSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import type { Server } from 'node:https';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import type { TlsFiles } from './files.ts';
import { CertificateKeeper, type CertificateKeeperOptions, type ListenerCertificate } from './renewal.ts';

const directory = mkdtempSync(join(tmpdir(), 'entrepot-renewal-'));
after(() => rmSync(directory, { recursive: true, force: true }));

const DAY = 24 * 3_600_000;

function makePair(name: string, days = 60): { certFile: string; keyFile: string } {
  const pair = { certFile: join(directory, `${name}.crt`), keyFile: join(directory, `${name}.key`) };
  const subject = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    `${days}`,
    '-subj',
    `/CN=${name}`,
  ];
  const files = ['-keyout', pair.keyFile, '-out', pair.certFile];
  execFileSync('openssl', ['req', '-x509', ...subject, ...files], { stdio: 'ignore' });
  return pair;
}

/** Key and certificate in one file, as an order leaves them. */
function writeOrdered(file: string, name: string): void {
  const { certFile, keyFile } = makePair(`${name}-made`);
  const subject = ['-subj', `/CN=${name}`, '-days', '60', '-key', keyFile, '-out', certFile];
  execFileSync('openssl', ['req', '-x509', '-new', ...subject], { stdio: 'ignore' });
  writeFileSync(file, readFileSync(keyFile, 'utf8') + readFileSync(certFile, 'utf8'));
}

/** A keeper, what it said, and the next thing it says. */
class Stage {
  readonly said: string[] = [];
  readonly contexts: { cert: string }[] = [];
  readonly keeper: CertificateKeeper;
  #next = Promise.withResolvers<string>();

  constructor(options: Partial<CertificateKeeperOptions> = {}) {
    const say = (text: string): void => {
      this.said.push(text);
      this.#next.resolve(text);
      this.#next = Promise.withResolvers();
    };
    this.keeper = new CertificateKeeper({
      interval: 50,
      onWarning: (message, error) => say(`${message}: ${(error as Error | undefined)?.message ?? ''}`),
      onRenewed: ({ subject }: ListenerCertificate) => say(`renewed ${subject}`),
      ...options,
    });
  }

  get next(): Promise<string> {
    return this.#next.promise;
  }

  async open(files: TlsFiles): Promise<void> {
    const { serve } = await this.keeper.open('*:5443', files);
    serve({ setSecureContext: (context: { cert: string }) => this.contexts.push(context) } as unknown as Server);
    this.keeper.start();
  }

  [Symbol.dispose](): void {
    this.keeper.stop();
  }
}

describe('CertificateKeeper', () => {
  test('takes up a changed pair by itself', async () => {
    using stage = new Stage();
    await stage.open(makePair('changed'));
    const { next } = stage;
    makePair('changed');
    assert.equal(await next, 'renewed CN=changed');
    assert.equal(stage.contexts.length, 1);
  });

  test('takes up what a swapped symlink leads to, as Kubernetes swaps secrets', async () => {
    using stage = new Stage();
    const volume = join(directory, 'volume');
    for (const version of ['one', 'two']) {
      mkdirSync(join(volume, version), { recursive: true });
      const { certFile, keyFile } = makePair(version);
      renameSync(certFile, join(volume, version, 'tls.crt'));
      renameSync(keyFile, join(volume, version, 'tls.key'));
    }
    symlinkSync('one', join(volume, '..data'));
    for (const file of ['tls.crt', 'tls.key']) symlinkSync(join('..data', file), join(volume, file));
    await stage.open({ certFile: join(volume, 'tls.crt'), keyFile: join(volume, 'tls.key') });
    assert.equal(stage.keeper.certificates[0]?.subject, 'CN=one');
    const { next } = stage;
    symlinkSync('two', join(volume, '..data_tmp'));
    renameSync(join(volume, '..data_tmp'), join(volume, '..data'));
    assert.equal(await next, 'renewed CN=two');
    assert.equal(stage.keeper.certificates[0]?.subject, 'CN=two');
  });

  test('keeps the old pair where the new one cannot be used, says so once, and takes up the next', async () => {
    using stage = new Stage();
    const files = makePair('broken');
    await stage.open(files);
    let { next } = stage;
    writeFileSync(files.keyFile, 'nothing');
    assert.match(await next, /certificate of \*:5443 stays as it was.*No usable private key/);
    assert.equal(stage.contexts.length, 0);
    // Looked at again and again, it is not complained of again: the next thing said is that it is mended.
    next = stage.next;
    makePair('broken');
    assert.equal(await next, 'renewed CN=broken');
  });

  test('prepares all or none', async () => {
    using stage = new Stage({ interval: DAY });
    const [one, two] = [makePair('first'), makePair('second')];
    await stage.keeper.open('*:1', one);
    await stage.keeper.open('*:2', two);
    makePair('first');
    writeFileSync(two.certFile, 'nothing');
    await assert.rejects(stage.keeper.prepare(), /No certificate in .*second\.crt/);
    assert.deepEqual(stage.said, []);
    makePair('second');
    const use = await stage.keeper.prepare();
    assert.deepEqual(stage.said, []);
    use();
    assert.deepEqual(stage.said, ['renewed CN=first', 'renewed CN=second']);
  });

  test('waits for a certificate that this server writes itself, and takes it up when it is told', async () => {
    using stage = new Stage({ interval: DAY });
    const file = join(directory, 'ordered.pem');
    await stage.open({ certFile: file, keyFile: file, writtenBy: 'ca.example for mirror.example' });
    assert.match(
      stage.said.join(),
      /^\*:5443 refuses connections until it has a certificate from ca\.example for mirror/,
    );
    assert.deepEqual(stage.keeper.certificates, []);
    // A reload meanwhile changes nothing.
    (await stage.keeper.prepare())();
    const { next } = stage;
    writeOrdered(file, 'ordered');
    stage.keeper.check();
    assert.equal(await next, 'renewed CN=ordered');
    assert.equal(stage.contexts.length, 1);
  });

  test('keeps its certificate where another file is named, until that is written', async () => {
    using stage = new Stage({ interval: DAY });
    const [one, two] = ['one.pem', 'two.pem'].map((name) => join(directory, name)) as [string, string];
    writeOrdered(one, 'one');
    await stage.open({ certFile: one, keyFile: one, writtenBy: 'ca.example' });
    (await stage.keeper.prepare([{ certFile: two, keyFile: two, writtenBy: 'ca.example' }]))();
    assert.deepEqual(stage.said, []);
    assert.equal(stage.keeper.certificates[0]?.subject, 'CN=one');
    const { next } = stage;
    writeOrdered(two, 'two');
    stage.keeper.check();
    assert.equal(await next, 'renewed CN=two');
  });

  for (const [ahead, expected] of [
    [45, undefined],
    [52, undefined],
    [54, /\(CN=late\) expires at .*; its renewal fails, see `entrepot status`/],
  ] as const) {
    test(`${ahead} of 60 days into one of its own, ${expected === undefined ? 'nothing is said' : 'it is said'}`, async () => {
      using stage = new Stage({ now: () => Date.now() + ahead * DAY, interval: DAY });
      const file = join(directory, 'late.pem');
      writeOrdered(file, 'late');
      await stage.open({ certFile: file, keyFile: file, writtenBy: 'ca.example' });
      if (expected === undefined) assert.deepEqual(stage.said, []);
      else assert.match(stage.said.join(), expected);
    });
  }

  for (const [days, ahead, expected] of [
    [60, 0, undefined],
    [60, 45, undefined],
    [60, 47, /\*:5443 \(CN=expiring\) expires at .*put a new one in .*expiring\.crt/],
    [60, 61, /\*:5443 \(CN=expiring\) expired at/],
    [6, 3, undefined],
    [6, 5, /expires at/],
  ] as const) {
    test(`${ahead} days into a certificate of ${days}, ${expected === undefined ? 'nothing is said' : 'it is said once'}`, async () => {
      using stage = new Stage({ now: () => Date.now() + ahead * DAY, interval: 5 });
      await stage.open(makePair('expiring', days));
      if (expected === undefined) assert.deepEqual(stage.said, []);
      else {
        assert.equal(stage.said.length, 1);
        assert.match(stage.said[0] as string, expected);
      }
    });
  }
});
