import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { parseDnsServer, shownDnsServer } from './server-address.ts';

describe('parseDnsServer()', () => {
  const right: readonly (readonly [string, string, string | undefined])[] = [
    ['https://dns.google/dns-query', 'https://dns.google/dns-query', undefined],
    ['https://[2001:db8::1]:8443/q', 'https://[2001:db8::1]:8443/q', undefined],
    ['tls://1.1.1.1:853#cloudflare-dns.com', 'tls://1.1.1.1:853', 'cloudflare-dns.com'],
    ['tls://1.1.1.1', 'tls://1.1.1.1:853', '1.1.1.1'],
    ['tls://[2606:4700::1111]#One.one.', 'tls://[2606:4700::1111]:853', 'one.one'],
    ['tls://dns.quad9.net:8853/', 'tls://dns.quad9.net:8853', 'dns.quad9.net'],
  ];
  for (const [text, shown, name] of right) {
    test(`reads ${text}`, () => {
      const address = parseDnsServer(text);
      assert.ok(address !== undefined);
      assert.equal(shownDnsServer(address), shown);
      if (address.kind === 'tls') assert.equal(address.certificateName, name);
    });
  }

  for (const text of [
    '1.1.1.1',
    'dns.google',
    'http://dns.test/',
    'tls://',
    'udp://1.1.1.1',
    'https://u:p@h/',
    'tls://h/x',
    'tls://h?x',
    'https://h/#x',
    '',
  ]) {
    test(`refuses ${JSON.stringify(text)}`, () => assert.equal(parseDnsServer(text), undefined));
  }
});
