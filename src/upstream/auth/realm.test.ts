import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { decideRealm } from './realm.ts';

const HUB = 'https://registry-1.docker.io';

/** Why, the realm, who challenges, the listed hosts. */
type Row = readonly [why: string, realm: string, challenger: string, listed?: readonly string[]];

const ALLOWED: readonly Row[] = [
  ['the same registrable domain', 'https://auth.docker.io/token', HUB],
  ['the same host', 'https://ghcr.io/token', 'https://ghcr.io'],
  ['the same host on another port', 'https://reg.example.com:8443/auth', 'https://reg.example.com'],
  ['a domain of two labels under a public suffix', 'https://auth.example.co.uk/', 'https://reg.example.co.uk'],
  ['a listed host', 'https://sso.corp.example/token', 'https://reg.other.example', ['sso.corp.example']],
  ['a listed host in capitals', 'https://sso.corp.example/token', 'https://reg.other.example', ['SSO.corp.example']],
  ['a listed suffix', 'https://a.b.corp.example/token', 'https://reg.other.example', ['*.corp.example']],
  ['a listed host and port', 'http://10.0.0.9:5001/token', 'http://10.0.0.1:5000', ['10.0.0.9:5001']],
  ['plain HTTP that is listed as such', 'http://sso.corp.example/token', HUB, ['http://sso.corp.example']],
  ['plain HTTP on a listed port', 'http://sso.corp.example:8080/t', HUB, ['http://sso.corp.example:8080']],
  ['https on a host that is listed for HTTP', 'https://sso.corp.example/t', HUB, ['http://sso.corp.example']],
  ["an address that is the upstream's own", 'http://127.0.0.1:5001/token', 'http://127.0.0.1:5000'],
  ['localhost that is the upstream itself', 'http://localhost:5001/token', 'http://localhost:5000'],
  ["an IPv6 address that is the upstream's own", 'http://[::1]:5001/token', 'http://[::1]:5000'],
  ['https though the registry is http', 'https://reg.example.com/token', 'http://reg.example.com'],
  ['another host name with a final dot', 'https://ghcr.io./token', 'https://ghcr.io'],
];

const REFUSED: readonly Row[] = [
  ["CVE-2026-33540: a realm of the attacker's", 'https://evil.example/token', HUB],
  ['CVE-2026-33540: the domain as a subdomain', 'https://auth.docker.io.evil.example/token', HUB],
  ['CVE-2026-33540: the domain as a user name', 'https://auth.docker.io@evil.example/token', HUB],
  ['CVE-2026-33540: the domain as a suffix of another', 'https://evildocker.io/token', HUB],
  ['two customers of one host', 'https://evil.github.io/token', 'https://good.github.io'],
  ['a public suffix is no registry’s domain', 'https://evil.co.uk/token', 'https://good.co.uk'],
  ['CVE-2026-48978: a loopback address', 'https://127.0.0.1/token', HUB],
  ['CVE-2026-48978: a loopback address in another spelling', 'https://0x7f.1/token', HUB],
  ['CVE-2026-48978: the metadata service', 'http://169.254.169.254/latest/meta-data', 'http://reg.example.com'],
  ['CVE-2026-48978: localhost', 'https://localhost/token', HUB],
  ['CVE-2026-48978: a private address', 'https://10.0.0.1/token', 'https://10.0.0.2'],
  ['CVE-2026-48978: https given up', 'http://auth.docker.io/token', HUB],
  ['CVE-2026-48978: https given up on a listed host', 'http://auth.docker.io/token', HUB, ['auth.docker.io']],
  ['plain HTTP on another port than the listed one', 'http://a.example/t', HUB, ['http://a.example:8080']],
  ['plain HTTP below a listed suffix', 'http://a.corp.example/t', HUB, ['*.corp.example']],
  ['CVE-2026-48978: another scheme', 'file:///etc/passwd', HUB],
  ['another scheme on the host', 'ftp://registry-1.docker.io/token', HUB],
  ['no URL', '/token', HUB],
  ['a user name', 'https://u:p@auth.docker.io/token', HUB],
  ['too long', `https://auth.docker.io/${'x'.repeat(3000)}`, HUB],
  [
    'a listed suffix does not mean its own name with something before',
    'https://evilcorp.example/',
    HUB,
    ['*.corp.example'],
  ],
  ['single labels are not of one domain', 'https://auth/token', 'https://registry'],
];

describe('decideRealm', () => {
  for (const [why, realm, challenger, tokenRealms = []] of ALLOWED) {
    test(`allows ${why}`, async () => {
      const decision = await decideRealm(realm, { challenger: new URL(challenger), tokenRealms });
      assert.deepEqual([decision.kind, 'url' in decision && decision.url.href], ['allowed', new URL(realm).href]);
      assert.equal('listed' in decision && decision.listed, tokenRealms.length > 0);
    });
  }

  for (const [why, realm, challenger, tokenRealms = []] of REFUSED) {
    test(`refuses ${why}`, async () => {
      const context = { challenger: new URL(challenger), tokenRealms };
      const decision = await decideRealm(realm, context);
      assert.equal(decision.kind, 'refused');
      assert.doesNotMatch('reason' in decision ? decision.reason : '', /u:p@/);
    });
  }

  test('says of plain HTTP what it is, and what to write', async () => {
    const reasonFor = async (tokenRealms: readonly string[]): Promise<string> => {
      const decision = await decideRealm('http://sso.corp.example:81/t', { challenger: new URL(HUB), tokenRealms });
      return decision.kind === 'refused' ? decision.reason : '';
    };
    assert.match(
      await reasonFor([]),
      /plain HTTP.*unencrypted\. .* list http:\/\/sso\.corp\.example:81 in token_realms$/,
    );
    assert.doesNotMatch(await reasonFor([]), /for https alone/);
    assert.match(await reasonFor(['sso.corp.example']), /token_realms lists sso\.corp\.example for https alone\. /);
  });

  test('refuses a challenge without a realm', async () => {
    assert.equal((await decideRealm(undefined, { challenger: new URL(HUB), tokenRealms: [] })).kind, 'refused');
  });
});
