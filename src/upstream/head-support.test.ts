import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { connectUpstreams, serve } from '../../test/support/connect-upstreams.ts';
import { digestOf, MEDIA_TYPES, type Origin, type Repository } from '../oci/index.ts';
import { UpstreamError } from './error.ts';

const app: Repository = { registry: 'docker.io', repository: 'library/app' };
const bytes = Buffer.from(JSON.stringify({ schemaVersion: 2, mediaType: MEDIA_TYPES.ociIndex, manifests: [] }));
const digest = digestOf(bytes);

const QUESTIONS: Readonly<Record<string, (origin: Origin) => Promise<{ readonly size: number | undefined }>>> = {
  'a blob': (origin) => origin.headBlob(app, digest),
  'a manifest by tag': (origin) => origin.headManifest(app, { kind: 'tag', tag: '1' }),
  'a manifest by digest': (origin) => origin.headManifest(app, { kind: 'digest', digest }),
};

/** An upstream that answers HEAD and GET with these statuses; the methods that it was asked by. */
async function upstreamOf(statusOf: (method: string, nth: number) => number) {
  const asked: string[] = [];
  const server = await serve(({ method = '' }, response) => {
    asked.push(method);
    const status = statusOf(method, asked.length);
    response.writeHead(status, {
      'content-length': status === 200 ? bytes.length : 0,
      'content-type': MEDIA_TYPES.ociIndex,
      'docker-content-digest': digest,
    });
    response.end(method === 'HEAD' || status !== 200 ? undefined : bytes);
  });
  return { server, asked };
}

for (const [what, question] of Object.entries(QUESTIONS)) {
  describe(`HEAD of ${what}`, () => {
    for (const refusal of [400, 401, 403, 404, 405, 406, 500, 501]) {
      test(`that is refused with ${refusal} where GET works is a GET, then and afterwards`, async () => {
        const { server, asked } = await upstreamOf((method) => (method === 'HEAD' ? refusal : 200));
        await using _ = server;
        await using origin = connectUpstreams({ url: server.url });
        for (let i = 0; i < 3; i += 1) assert.equal((await question(origin)).size, bytes.length);
        assert.deepEqual(asked, ['HEAD', 'GET', 'GET', 'GET']);
      });
    }

    test('that says 404 is believed once HEAD has worked', async () => {
      const { server, asked } = await upstreamOf((_, nth) => (nth === 1 ? 200 : 404));
      await using _ = server;
      await using origin = connectUpstreams({ url: server.url });
      await question(origin);
      await assert.rejects(question(origin), UpstreamError);
      assert.deepEqual(asked, ['HEAD', 'HEAD']);
    });

    test('that says 404 is believed once GET has said so three times', async () => {
      const { server, asked } = await upstreamOf(() => 404);
      await using _ = server;
      await using origin = connectUpstreams({ url: server.url });
      for (let i = 0; i < 4; i += 1) await assert.rejects(question(origin), UpstreamError);
      assert.deepEqual(asked, ['HEAD', 'GET', 'HEAD', 'GET', 'HEAD', 'GET', 'HEAD']);
    });
  });
}
