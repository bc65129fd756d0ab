import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { PeerCertificate } from 'node:tls';
import { certificateProblem, plain, summarizeCertificate } from './certificate.ts';

const NOW = Date.parse('2026-01-31T12:00:00Z');

function certificate(more: object = {}): PeerCertificate {
  return {
    subject: { CN: 'registry.test' },
    issuer: { CN: 'House CA', O: 'Example Ltd' },
    subjectaltname: 'DNS:registry.test, DNS:*.registry.test, IP Address:127.0.0.1, URI:spiffe://x',
    valid_from: 'Jan  1 00:00:00 2026 GMT',
    valid_to: 'Feb  2 00:00:00 2026 GMT',
    fingerprint256: 'AA:BB',
    ...more,
  } as unknown as PeerCertificate;
}

describe('summarizeCertificate', () => {
  test('tells who it is for, who signed it and how long it holds', () => {
    assert.deepEqual(summarizeCertificate(certificate(), NOW), {
      subject: 'registry.test',
      issuer: 'House CA (Example Ltd)',
      names: ['registry.test', '*.registry.test', '127.0.0.1'],
      notBefore: '2026-01-01T00:00:00.000Z',
      notAfter: '2026-02-02T00:00:00.000Z',
      daysLeft: 1,
      fingerprint: 'AA:BB',
    });
  });

  test('counts the days since it ended as less than none', () => {
    assert.equal(summarizeCertificate(certificate({ valid_to: 'Jan 30 00:00:00 2026 GMT' }), NOW)?.daysLeft, -2);
  });

  test('is null where there is none, or none that can be read', () => {
    assert.equal(summarizeCertificate({} as PeerCertificate, NOW), null);
    assert.equal(summarizeCertificate(certificate({ valid_to: 'soon' }), NOW), null);
  });

  test('lets no name do anything to a terminal', () => {
    const found = summarizeCertificate(
      certificate({ subject: { CN: ['\u001b[31mred', 'x'] }, issuer: undefined }),
      NOW,
    );
    assert.deepEqual([found?.subject, found?.issuer], ['?[31mred', 'no name']);
    assert.equal(plain(`\u009b${'x'.repeat(500)}`).length, 120);
  });
});

describe('certificateProblem', () => {
  const shown = summarizeCertificate(certificate(), NOW);
  const rows: readonly (readonly [code: string, words: RegExp, remedy: RegExp])[] = [
    ['CERT_HAS_EXPIRED', /expired on 2026-02-02/, /clock/],
    ['CERT_NOT_YET_VALID', /not valid before 2026-01-01/, /clock/],
    ['ERR_TLS_CERT_ALTNAME_INVALID', /is for registry\.test, .*not for other\.test/, /transport\.dns\.servers/],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', /self-signed/, /tls\.ca_file/],
    ['SELF_SIGNED_CERT_IN_CHAIN', /signed by House CA \(Example Ltd\), an authority that/, /transport\.ca_file/],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', /signed by House CA/, /transport\.ca_file/],
    ['CERT_REVOKED', /revoked/, /another certificate/],
  ];
  for (const [code, words, remedy] of rows) {
    test(code, () => {
      for (const certificate of [shown, null]) {
        const found = certificateProblem(code, { host: 'other.test', certificate });
        assert.match(found?.remedy ?? '', remedy);
        if (certificate !== null) assert.match(found?.words ?? '', words);
      }
    });
  }

  test('is nothing else', () => {
    for (const code of ['ECONNRESET', '', 'ERR_SSL_WRONG_VERSION_NUMBER']) {
      assert.equal(certificateProblem(code, { host: 'x', certificate: shown }), undefined);
    }
  });
});
