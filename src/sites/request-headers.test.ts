import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { mayIdentify } from './request-headers.ts';

describe('mayIdentify()', () => {
  const clients: Record<string, string> = {
    curl: 'accept user-agent range if-none-match',
    wget: 'accept user-agent if-modified-since if-range',
    git: 'user-agent accept accept-language pragma git-protocol',
    apt: 'cache-control accept user-agent if-modified-since',
    pip: 'cache-control accept user-agent',
    cargo: 'user-agent accept cargo-protocol',
    huggingface_hub: 'user-agent accept x-amzn-trace-id',
    chromium:
      'accept accept-language cache-control dnt pragma priority sec-ch-ua sec-ch-ua-mobile sec-ch-ua-platform sec-fetch-dest ' +
      'sec-fetch-mode sec-fetch-site sec-fetch-user sec-gpc upgrade-insecure-requests user-agent',
    'a traced service': 'user-agent accept traceparent tracestate b3 x-b3-traceid',
  };
  for (const [client, names] of Object.entries(clients)) {
    test(`${client} fetches a public file as any other client`, () => assert.equal(mayIdentify(headers(names)), false));
  }

  // Real names, and names that none of the lists of credentials has.
  const names =
    'authorization cookie cookie2 x-api-key private-token job-token deploy-token x-authorization x-authtoken x-access-token ' +
    'x-sessionid x-jwt cf-access-jwt-assertion cf-access-client-id x-auth-user x-remote-user remote-user x-credential x-passwd ' +
    'x-bearer dpop x-apitoken x-vault-token x-ms-client-principal x-amz-security-token x-amz-date x-goog-iap-jwt-assertion ticket ' +
    'x-signed x-passphrase token tokens apikey x-user-id from referer baggage x-tenant x-org-id x-client-cert ssl-client-verify ' +
    'x-csrf x-device x-license x-account x-whatever authentication-info signature signature-input x-zypp-anonymousid npm-session ' +
    'accept-tokens sec-token sec-cookie sec-fetch-storage-access want-user x-b3-user x-forwarded-user idempotency-key';
  for (const name of names.split(' ')) {
    test(`${name} may say who asks`, () => assert.equal(mayIdentify(headers(`accept ${name}`)), true));
  }
});

function headers(names: string): Record<string, string> {
  return Object.fromEntries(names.split(' ').map((name) => [name, 'x']));
}
