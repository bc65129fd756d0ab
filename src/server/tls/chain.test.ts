import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { createPrivateKey, type KeyObject } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { orderChain, parseCertificates } from './chain.ts';
import { readTlsFiles } from './files.ts';

// A root, two authorities below it one after the other, and a server's certificate: made with openssl.

const directory = mkdtempSync(join(tmpdir(), 'entrepot-chain-'));
after(() => rmSync(directory, { recursive: true, force: true }));
const at = (name: string): string => join(directory, name);
const pems: Record<string, string> = {};
let key: KeyObject;

function issue(name: string, issuer: string | undefined, extensions: readonly string[]): void {
  const signer = issuer === undefined ? [] : ['-CA', at(`${issuer}.crt`), '-CAkey', at(`${issuer}.key`)];
  const subject = [
    '-newkey',
    'ec',
    '-pkeyopt',
    'ec_paramgen_curve:prime256v1',
    '-nodes',
    '-days',
    '60',
    '-subj',
    `/CN=${name}`,
  ];
  const more = extensions.flatMap((each) => ['-addext', each]);
  const files = ['-keyout', at(`${name}.key`), '-out', at(`${name}.crt`)];
  execFileSync('openssl', ['req', '-x509', ...subject, ...more, ...signer, ...files], { stdio: 'ignore' });
  pems[name] = readFileSync(at(`${name}.crt`), 'utf8');
}

before(() => {
  issue('root', undefined, []);
  issue('upper', 'root', []);
  issue('lower', 'upper', []);
  issue('other', undefined, []);
  issue('leaf', 'lower', [
    'basicConstraints=critical,CA:FALSE',
    'subjectAltName=DNS:mirror.example',
    'authorityInfoAccess=caIssuers;URI:http://ca.example/lower.crt',
  ]);
  key = createPrivateKey(readFileSync(at('leaf.key')));
});

describe('orderChain', () => {
  for (const [given, expected, wasInOrder] of [
    ['leaf', 'leaf', true],
    ['leaf lower upper', 'leaf lower upper', true],
    ['leaf lower upper root', 'leaf lower upper root', true],
    ['root upper lower leaf', 'leaf lower upper root', false],
    ['leaf upper lower', 'leaf lower upper', false],
    ['upper leaf lower', 'leaf lower upper', false],
    ['other leaf lower', 'leaf lower other', false],
    ['leaf lower other', 'leaf lower other', true],
    ['leaf upper', 'leaf upper', true],
    ['other lower upper', undefined, false],
  ] as const) {
    test(`${given} → ${expected ?? 'the key belongs to none'}`, () => {
      const chain = orderChain(
        parseCertificates(
          given
            .split(' ')
            .map((name) => pems[name])
            .join(''),
        ),
        key,
      );
      const names = chain?.certificates.map(({ subject }) => subject?.replace('CN=', ''));
      assert.equal(names?.join(' '), expected);
      if (chain !== undefined) assert.equal(chain.wasInOrder, wasInOrder);
    });
  }

  test('two authorities of one name are told apart by their signatures', () => {
    const real = pems['lower'] as string;
    issue('lower', 'upper', []);
    const chain = orderChain(parseCertificates(`${pems['leaf']}${pems['lower']}${real}`), key);
    assert.equal(chain?.certificates[1]?.toString(), parseCertificates(real)[0]?.toString());
    pems['lower'] = real;
  });

  test('a file with too many certificates is no chain', () => {
    assert.throws(() => parseCertificates((pems['root'] as string).repeat(65)), /found 65 certificates/);
  });
});

describe('readTlsFiles', () => {
  function write(name: string, ...parts: readonly string[]): string {
    writeFileSync(at(name), parts.map((part) => pems[part] ?? part).join(''));
    return at(name);
  }

  test('repairs the order, and says so', async () => {
    const certFile = write('mixed.crt', 'upper', 'leaf', 'lower');
    const { cert, notes, subject } = await readTlsFiles({ certFile, keyFile: at('leaf.key') });
    assert.equal(cert, `${pems['leaf']}${pems['lower']}${pems['upper']}`);
    assert.match(notes.join(), /mixed\.crt are not in order/);
    assert.equal(subject, 'DNS:mirror.example');
  });

  test('takes certificate, chain and key out of one file, whatever else it holds', async () => {
    const leafKey = readFileSync(at('leaf.key'), 'utf8');
    const file = write('all.pem', '# ours\n', leafKey, 'leaf', 'subject=CN = lower\n', 'lower');
    const { cert, key: found, notes } = await readTlsFiles({ certFile: file, keyFile: file });
    assert.deepEqual([cert, found, notes], [`${pems['leaf']}${pems['lower']}`, leafKey, []]);
  });

  test('says where a chain is missing', async () => {
    const { notes } = await readTlsFiles({ certFile: at('leaf.crt'), keyFile: at('leaf.key') });
    assert.match(notes.join(), /leaf\.crt holds no certificate of its issuer \(CN=lower\)/);
  });

  test('says how a key with a passphrase is decrypted', async () => {
    for (const [name, form] of [
      ['pkcs8', ['pkcs8', '-topk8', '-v2', 'aes256']],
      ['sec1', ['ec', '-aes256']],
    ] as const) {
      const keyFile = at(`${name}-locked.key`);
      execFileSync('openssl', [...form, '-passout', 'pass:secret', '-in', at('leaf.key'), '-out', keyFile], {
        stdio: 'ignore',
      });
      await assert.rejects(readTlsFiles({ certFile: at('leaf.crt'), keyFile }), /openssl pkey -in .*-locked\.key -out/);
    }
  });

  test('names the certificates a key does not belong to', async () => {
    const expected =
      /The key in .*other\.key does not belong to the certificate in .*leaf\.crt \(DNS:mirror\.example\)/;
    await assert.rejects(readTlsFiles({ certFile: at('leaf.crt'), keyFile: at('other.key') }), expected);
  });
});
