import assert from 'node:assert/strict';
import { createPrivateKey, createPublicKey, generateKeyPairSync, X509Certificate } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import { check, needs, run, Workspace } from '../../../test/support/processes.ts';
import { AuthorityError, createAuthority, openAuthority, signLeaf } from './certificates.ts';
import { LeafCertificates } from './leaves.ts';

const DAY = 86_400_000;
const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const own = createAuthority({ host: 'mirror.test' });

describe('createAuthority()', () => {
  const x509 = new X509Certificate(own.cert);

  test('is its own issuer, and an authority for ten years', () => {
    assert.ok(x509.ca);
    assert.ok(x509.checkIssued(x509));
    assert.ok(x509.verify(createPublicKey(own.cert)));
    assert.equal(x509.subject, 'O=entrepot\nCN=entrepot CA mirror.test');
    const days = (x509.validToDate.getTime() - Date.now()) / DAY;
    assert.ok(days > 3649 && days <= 3650, String(days));
  });

  test('no two have the same serial number, nor a negative one', () => {
    const serials = Array.from(
      { length: 20 },
      () => new X509Certificate(createAuthority({ host: 'x' }).cert).serialNumber,
    );
    assert.equal(new Set(serials).size, 20);
    for (const serial of serials) assert.match(serial, /^[4-7][0-9A-F]{31}$/);
  });

  test('a host name of any length fits into its name', () => {
    const name = new X509Certificate(createAuthority({ host: 'x'.repeat(200) }).cert).subject;
    assert.match(name, /^O=entrepot\nCN=entrepot CA x{52}$/);
  });
});

describe('signLeaf()', () => {
  const authority = openAuthority(own);
  const issuer = new X509Certificate(own.cert);

  for (const name of [
    'registry.test',
    'xn--bcher-kva.example',
    '127.0.0.1',
    '2001:db8::1',
    `${'long.'.repeat(40)}test`,
  ]) {
    test(`is good for ${name.slice(0, 30)}, and for nothing else`, () => {
      const leaf = new X509Certificate(signLeaf(authority, { name, publicKey }).cert);
      assert.ok(leaf.checkIssued(issuer));
      assert.ok(leaf.verify(issuer.publicKey));
      assert.ok(!leaf.ca);
      assert.ok(leaf.checkPrivateKey(privateKey));
      assert.deepEqual(leaf.keyUsage, ['1.3.6.1.5.5.7.3.1']);
      if (/^[\d.]+$|::/.test(name)) assert.equal(leaf.checkIP(name), name);
      else assert.equal(leaf.checkHost(name), name);
      assert.equal(leaf.checkHost('other.test'), undefined);
    });
  }

  test('lives 45 days, from yesterday on', () => {
    const now = new Date('2030-06-01T12:00:00Z');
    const long = openAuthority(own, { now });
    const leaf = new X509Certificate(signLeaf(long, { name: 'a.test', publicKey, now }).cert);
    assert.equal(leaf.validFromDate.toISOString(), '2030-05-31T12:00:00.000Z');
    assert.equal(leaf.validToDate.toISOString(), '2030-07-16T12:00:00.000Z');
  });

  test('never outlives its authority', () => {
    const now = new Date(authority.notAfter.getTime() - DAY);
    const { cert, notAfter } = signLeaf(authority, { name: 'a.test', publicKey, now });
    assert.equal(notAfter.getTime(), authority.notAfter.getTime());
    assert.equal(new X509Certificate(cert).validTo, issuer.validTo);
  });
});

describe('openAuthority() says what is wrong with', () => {
  const leafKey = privateKey.export({ type: 'pkcs8', format: 'pem' });
  const leaf = signLeaf(openAuthority(own), { name: 'a.test', publicKey }).cert;
  const small = generateKeyPairSync('ed25519').privateKey.export({ type: 'pkcs8', format: 'pem' });
  const past = new Date('2020-01-01');
  const table: readonly [what: string, pair: { cert: string; key: string }, now: Date | undefined, expected: RegExp][] =
    [
      [
        'a certificate that is no authority',
        { cert: leaf, key: leafKey },
        undefined,
        /^the certificate is no certificate auth.*CA:TRUE/,
      ],
      ['a key of another', { cert: own.cert, key: leafKey }, undefined, /^the key is not the key of the certificate/],
      [
        'a key of another kind',
        { cert: own.cert, key: small },
        undefined,
        /^the key is not the key of the certificate/,
      ],
      ['one that expired', own, new Date('2099-01-01'), /expired on/],
      ['one that is yet to come', own, past, /valid only from .* clock/],
      ['what is no certificate', { cert: 'nothing', key: own.key }, undefined, /the certificate holds no certificate/],
      ['what is no key', { cert: own.cert, key: 'hunter2' }, undefined, /the key holds no private key/],
    ];
  for (const [what, pair, now, expected] of table) {
    test(what, () => {
      const error = assertThrows(() => openAuthority(pair, now === undefined ? {} : { now }));
      assert.match(error.message, expected);
      assert.ok(!error.message.includes('hunter2'));
    });
  }
});

describe('LeafCertificates', () => {
  test('keeps a leaf, and signs another at four fifths of its life', () => {
    let now = Date.now();
    const leaves = new LeafCertificates(openAuthority(own), () => now);
    const first = leaves.for('a.test');
    assert.ok(new X509Certificate(first.cert).checkPrivateKey(createPrivateKey(first.key)));
    now += 35 * DAY;
    assert.equal(leaves.for('a.test'), first);
    now += 2 * DAY;
    const second = leaves.for('a.test');
    assert.notEqual(second.cert, first.cert);
    assert.equal(second.key, first.key);
  });

  test('is bounded, whatever names are asked for', () => {
    const leaves = new LeafCertificates(openAuthority(own));
    const oldest = leaves.for('host-0.test');
    for (let i = 1; i < 600; i++) leaves.for(`host-${i}.test`);
    assert.equal(leaves.size, 512);
    assert.notEqual(leaves.for('host-0.test'), oldest);
  });
});

describe('OpenSSL', needs('openssl'), () => {
  let workspace: Workspace;
  before(async () => {
    workspace = await Workspace.open();
  });
  after(() => workspace.close());

  async function verify(ca: string, leaf: string, name: string): Promise<void> {
    const [caFile, leafFile] = [await workspace.file('ca.crt', ca), await workspace.file('leaf.crt', leaf)];
    const flag = /^[\d.]+$|::/.test(name) ? '-verify_ip' : '-verify_hostname';
    const strict = ['-x509_strict', '-purpose', 'sslserver', flag, name];
    await check(['openssl', 'verify', '-CAfile', caFile, ...strict, leafFile]);
  }

  test('finds our authority as it should be', async () => {
    const file = await workspace.file('own.crt', own.cert);
    const text = await check(['openssl', 'x509', '-in', file, '-noout', '-text']);
    assert.match(text, /Basic Constraints: critical\s+CA:TRUE, pathlen:0/);
    assert.match(text, /Key Usage: critical\s+Certificate Sign, CRL Sign/);
    assert.match(text, /NIST CURVE: P-256/);
  });

  test('accepts leaves of our authority', async () => {
    for (const name of ['registry.test', '127.0.0.1', '2001:db8::1', `${'long.'.repeat(40)}test`]) {
      await verify(own.cert, signLeaf(openAuthority(own), { name, publicKey }).cert, name);
    }
  });

  test('refuses an authority that may not sign, one of 1024 bits, and a leaf as authority', async () => {
    const usage = ['-addext', 'keyUsage=critical,digitalSignature', '-addext', 'basicConstraints=critical,CA:TRUE'];
    const unfit = await makeCa('unfit', ['ec', '-pkeyopt', 'ec_paramgen_curve:prime256v1'], usage);
    assert.match(assertThrows(() => openAuthority(unfit)).message, /may not sign certificates/);
    const weak = await makeCa('weak', ['rsa:1024'], []);
    assert.match(assertThrows(() => openAuthority(weak)).message, /1024 bits/);
  });

  for (const [kind, newkey] of [
    ['RSA', ['rsa:2048']],
    ['P-384', ['ec', '-pkeyopt', 'ec_paramgen_curve:secp384r1']],
    ['P-521', ['ec', '-pkeyopt', 'ec_paramgen_curve:secp521r1']],
  ] as const) {
    test(`accepts leaves of an ${kind} authority of the operator's`, async () => {
      const pair = await makeCa(kind, newkey, ['-addext', 'keyUsage=critical,keyCertSign']);
      await verify(
        pair.cert,
        signLeaf(openAuthority(pair), { name: 'registry.test', publicKey }).cert,
        'registry.test',
      );
    });
  }

  test("takes an authority's key in the older forms, PKCS#1 and SEC 1", async () => {
    const pair = await makeCa('old', ['rsa:2048'], []);
    const file = await workspace.file('pkcs8.key', pair.key);
    const pkcs1 = await check(['openssl', 'rsa', '-in', file, '-traditional']);
    assert.match(pkcs1, /BEGIN RSA PRIVATE KEY/);
    openAuthority({ cert: pair.cert, key: pkcs1 });
    const sec1 = await check(['openssl', 'ec', '-in', await workspace.file('own.key', own.key)]);
    assert.match(sec1, /BEGIN EC PRIVATE KEY/);
    openAuthority({ cert: own.cert, key: sec1 });
  });

  test('finds the way from a leaf of an intermediate authority to its root', async () => {
    const root = await makeCa('root', ['rsa:2048'], []);
    const files = [await workspace.file('root.crt', root.cert), await workspace.file('root.key', root.key)] as const;
    const middle = await makeCa('middle', ['rsa:2048'], ['-CA', files[0], '-CAkey', files[1]]);
    const { cert } = signLeaf(openAuthority(middle), { name: 'registry.test', publicKey });
    const chain = await workspace.file('chain.crt', cert);
    await check(['openssl', 'verify', '-CAfile', files[0], '-untrusted', chain, chain]);
    const alone = await workspace.file('alone.crt', new X509Certificate(cert).toString());
    assert.notEqual((await run(['openssl', 'verify', '-CAfile', files[0], alone])).code, 0);
  });

  async function makeCa(name: string, newkey: readonly string[], more: readonly string[]) {
    const [cert, key] = [workspace.path(`${name}.pem`), workspace.path(`${name}.key`)];
    const subject = ['-subj', `/C=NL/O=Harbour & Söhne/CN=${name}`, '-utf8', '-days', '30', '-nodes'];
    await check(['openssl', 'req', '-x509', '-newkey', ...newkey, ...subject, '-keyout', key, '-out', cert, ...more]);
    return { cert: await readFile(cert, 'utf8'), key: await readFile(key, 'utf8') };
  }
});

function assertThrows(action: () => unknown): AuthorityError {
  try {
    action();
  } catch (error) {
    assert.ok(error instanceof AuthorityError, String(error));
    return error;
  }
  throw new assert.AssertionError({ message: 'it did not throw' });
}
