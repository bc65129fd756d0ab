import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { answerHeaders } from './answer-headers.ts';

const rewriting = {
  from: { url: new URL('https://hub.example.com/f'), target: '/f' },
  pathOf: () => undefined,
  base: '',
};

/** What comes through of an answer with these headers. */
function passed(names: readonly string[], more: Readonly<Record<string, string>> = {}): string[] {
  return Object.keys(answerHeaders({ ...Object.fromEntries(names.map((name) => [name, 'x'])), ...more }, rewriting));
}

describe('headers of an answer', () => {
  const withheld: Record<string, string> = {
    'that make a server in front send a file or ask another address':
      'x-accel-redirect x-accel-expires x-accel-buffering x-accel-limit-rate x-accel-charset x-sendfile x-sendfile2 x-send-file ' +
      'x-sendfile-temporary x-lighttpd-send-file x-lighttpd-send-tempfile x-reproxy-url x-reproxy-file ' +
      'x-reproxy-cache-for x-litespeed-location x-appengine-blobkey x-offload-to-sse x-middleware-rewrite x-proxy-redirect',
    'that speak to a cache or a balancer in front':
      'surrogate-control surrogate-key surrogate-capability edge-control edge-cache-tag cdn-cache-control cache-tag xkey ' +
      'cloudflare-cdn-cache-control x-litespeed-cache-control x-litespeed-tag x-litespeed-purge x-arr-log-id ' +
      'x-envoy-immediate-health-check-fail x-envoy-overloaded proxy-status proxy-authenticate',
    'that a browser applies to the whole origin':
      'strict-transport-security alt-svc public-key-pins public-key-pins-report-only expect-ct clear-site-data ' +
      'service-worker-allowed origin-agent-cluster origin-trial accept-ch critical-ch use-as-dictionary set-login set-cookie2 ' +
      'sec-session-registration secure-session-registration attribution-reporting-register-source speculation-rules',
    'that report to the site':
      'nel report-to reporting-endpoints content-security-policy-report-only cross-origin-opener-policy-report-only ' +
      'permissions-policy-report-only document-policy-report-only',
    'that lead around this server': 'refresh sourcemap x-sourcemap',
    'of one connection, or of this server': 'connection keep-alive transfer-encoding upgrade x-cache x-request-id',
  };
  for (const [what, names] of Object.entries(withheld)) {
    test(`${what} are withheld`, () => assert.deepEqual(passed(names.split(' ')), []));
  }

  test('that are about the resource pass, known here or not', () => {
    const names =
      'accept-ranges age allow cache-control content-disposition content-encoding content-language content-range ' +
      'content-security-policy content-type access-control-allow-origin cross-origin-resource-policy date digest ' +
      'docker-content-digest etag expires last-modified oci-subject permissions-policy ratelimit-remaining retry-after ' +
      'server-timing vary via x-accelerated-by x-amz-meta-a x-artifactory-id x-checksum-sha1 x-content-type-options ' +
      'x-frame-options x-github-request-id x-goog-hash x-linked-etag x-linked-size x-ratelimit-remaining x-repo-commit x-total-count';
    assert.deepEqual(passed(names.split(' ')), names.split(' '));
  });

  test('that Connection lists are withheld', () => {
    assert.deepEqual(passed(['x-a', 'x-b'], { connection: 'X-A' }), ['x-b']);
  });
});
