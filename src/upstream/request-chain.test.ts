import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { upstreamSpec } from '../../test/support/transport-spec.ts';
import type { HttpRequest } from '../net/index.ts';
import { Telemetry } from '../telemetry/index.ts';
import { Authorizer } from './auth/index.ts';
import { UpstreamConnection } from './connection.ts';
import type { RedirectTarget } from './redirects/index.ts';
import { RequestChain } from './request-chain.ts';

const HOME = 'https://reg.example.com';

/** Sends a request that begins at a target. @returns what was sent, with one answer after the other */
async function sendFrom(
  target: Partial<RedirectTarget> & { readonly url: URL },
  answers: readonly { readonly status: number; readonly headers?: Readonly<Record<string, string>> }[] = [
    { status: 200 },
  ],
) {
  const spec = upstreamSpec({
    url: HOME,
    headers: { 'x-operator': 'yes' },
    credentials: { username: 'me', password: 'secret' },
  });
  const context = { httpClientFor: () => ({}) as never, telemetry: new Telemetry(), now: Date.now };
  const connection = new UpstreamConnection('docker.io', spec, context);
  const sent: HttpRequest[] = [];
  const chain = new RequestChain(
    {
      method: 'GET',
      path: '/v2/app/blobs/sha256:0',
      scope: 'repository:app:pull',
      headers: { range: 'bytes=1-' },
      kind: 'blob',
    },
    {
      connection,
      authorizer: new Authorizer(connection, { username: 'me', password: 'secret' }),
      onAnswer: () => assert.fail('the upstream itself has answered nothing'),
      send: (_client, httpRequest) => {
        const { status, headers = {} } = answers[sent.length] ?? { status: 200 };
        sent.push(httpRequest);
        // Outside the public internet, so that this alone lets nothing be dialled.
        return Promise.resolve({ status, headers, setCookies: [], remoteAddress: '10.0.0.9', body: Buffer.alloc(0) });
      },
      from: {
        target: target.url.pathname + target.url.search,
        redirects: 1,
        privateNetwork: false,
        visibility: 'private',
        ...target,
      },
    },
  );
  const answer = await chain.run().catch((error: unknown) => error as Error);
  return { answer, sent };
}

function messageOf(answer: unknown): string {
  assert.ok(answer instanceof Error);
  return answer.message;
}

describe('a chain that begins where an earlier one was redirected to', () => {
  const url = new URL('https://cdn.example.net/x?sig=1');

  test('may dial what the redirect allowed', async () => {
    const PUBLIC = { kind: 'public', allow: [] };
    assert.deepEqual(
      (await sendFrom({ url })).sent.map(({ addresses }) => addresses),
      [PUBLIC],
    );
    assert.deepEqual(
      (await sendFrom({ url, privateNetwork: true })).sent.map(({ addresses }) => addresses),
      [{ kind: 'any' }],
    );
    // A private address that has answered does not make the next redirect one of a private network.
    const on = await sendFrom({ url }, [{ status: 302, headers: { location: 'https://other.example.net/' } }]);
    assert.deepEqual(
      on.sent.map(({ addresses }) => addresses),
      [PUBLIC, PUBLIC],
    );
  });

  for (const [where, place] of [
    ['elsewhere', url],
    ['back at the upstream', new URL(`${HOME}/files/x?sig=1`)],
  ] as const) {
    test(`sends neither credential nor the operator's headers ${where}`, async () => {
      const { sent } = await sendFrom({ url: place }, [
        { status: 401, headers: { 'www-authenticate': 'Basic realm="x"' } },
      ]);
      assert.deepEqual(
        sent.map(({ url: to, headers }) => [to.href, headers]),
        [[place.href, { range: 'bytes=1-' }]],
      );
    });
  }

  test('goes neither from https to http nor on for ever', async () => {
    const down = await sendFrom({ url }, [{ status: 302, headers: { location: 'http://cdn.example.net/x' } }]);
    assert.match(messageOf(down.answer), /leads from https to http/);
    const far = await sendFrom({ url, redirects: 5 }, [{ status: 302, headers: { location: '/y' } }]);
    assert.match(messageOf(far.answer), /one more than the 5/);
    assert.deepEqual([down.sent.length, far.sent.length], [1, 1]);
  });

  test('gives the answer as it would have come after the redirect', async () => {
    const { answer } = await sendFrom({ url });
    assert.ok(!(answer instanceof Error));
    const { redirected, visibility, away } = answer;
    assert.deepEqual([redirected, visibility, away?.url.href, away?.redirects], [true, 'private', url.href, 1]);
  });
});
