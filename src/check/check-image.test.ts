import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { serve } from '../../test/support/connect-upstreams.ts';
import { buildImage } from '../../test/support/image.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../../test/support/scripted-upstream.ts';
import { upstreamSpec } from '../../test/support/transport-spec.ts';
import { createHttpClient } from '../net/index.ts';
import { MEDIA_TYPES } from '../oci/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import { checkImage, type ImageStep } from './check-image.ts';

function openTransport(telemetry: Telemetry) {
  const client = createHttpClient({ telemetry });
  return {
    optionsFor: () => Promise.resolve({ telemetry }),
    clientFor: () => Promise.resolve(client),
    close: () => client.close(),
  };
}

const AMD64 = { os: 'linux', architecture: 'amd64' };

interface Asked {
  readonly reference?: string;
  readonly architecture?: string;
  readonly timeout?: number;
  readonly signal?: AbortSignal;
  readonly repositoryPrefix?: string;
}

function pull(url: string, asked: Asked = {}): Promise<readonly ImageStep[]> {
  const { reference = '1', architecture = 'amd64', timeout = 20_000, signal, repositoryPrefix } = asked;
  const spec = upstreamSpec({ url, ...(repositoryPrefix === undefined ? {} : { repositoryPrefix }) });
  return checkImage(
    { kind: 'registry', name: 'apps', spec, path: '/v2/' },
    { repository: 'team/app', reference, platform: { ...AMD64, architecture } },
    { openTransport, timeout, signal },
  );
}

function outcomes(steps: readonly ImageStep[]): string {
  return steps.map(({ step, outcome, status }) => `${step}:${outcome}:${status}`).join(' ');
}

async function withImage(personality: 'plain' | 'dockerHub', repository = 'team/app'): Promise<ScriptedUpstream> {
  const upstream = await startScriptedUpstream({ personality });
  upstream.add(buildImage({ seed: 'check', architectures: ['amd64'] }), repository, ['1']);
  return upstream;
}

describe('a pull that is tried', () => {
  test('takes the manifest, that of the platform, and one byte of a layer', async (t) => {
    const upstream = await withImage('dockerHub');
    t.after(() => upstream.stop());
    const steps = await pull(upstream.url);
    assert.equal(outcomes(steps), 'manifest:ok:200 platform:ok:200 blob:ok:206');
    const [blob] = upstream.requests.filter(({ kind }) => kind === 'blob');
    assert.equal(blob?.headers['range'], 'bytes=0-0');
    assert.deepEqual(upstream.leaks(), []);
  });

  test('has no second manifest for an image of one platform, and asks under the prefix of the repository', async (t) => {
    const upstream = await withImage('plain', 'proxy/team/app');
    t.after(() => upstream.stop());
    const image = buildImage({ seed: 'check', architectures: ['amd64'] });
    const reference = image.platforms[0]?.manifest.digest;
    const steps = await pull(upstream.url, { reference: reference ?? '', repositoryPrefix: 'proxy' });
    assert.equal(outcomes(steps), 'manifest:ok:200 blob:ok:206');
  });

  test('ends where the image is missing, or not for this platform', async (t) => {
    const upstream = await withImage('plain');
    t.after(() => upstream.stop());
    assert.equal(outcomes(await pull(upstream.url, { reference: 'other' })), 'manifest:missing:404');
    const foreign = await pull(upstream.url, { architecture: 's390x' });
    assert.equal(outcomes(foreign), 'manifest:ok:200 platform:missing:200');
    assert.match(foreign[1]?.summary ?? '', /no image for linux\/s390x; it has linux\/amd64/);
  });

  test('ends where the layer does not come', async (t) => {
    const upstream = await withImage('plain');
    t.after(() => upstream.stop());
    upstream.fault({ kind: 'blob' }, { status: 403, headers: { 'x-amzn-waf-action': 'block' } });
    const steps = await pull(upstream.url);
    assert.equal(outcomes(steps), 'manifest:ok:200 platform:ok:200 blob:failed:403');
    assert.match(steps[2]?.summary ?? '', /blocked by the web application firewall of AWS/);
  });

  const rows: readonly (readonly [what: string, status: number, outcome: string, remedy: RegExp])[] = [
    ['is private', 403, 'denied', /credentials/],
    ['is throttled', 429, 'failed', /throttles/],
    ['fails', 500, 'failed', /entrepot check/],
  ];
  for (const [what, status, outcome, remedy] of rows) {
    test(`ends where the manifest ${what}`, async () => {
      await using site = await serve((_, response) => void response.writeHead(status).end());
      const [step] = await pull(site.url);
      assert.deepEqual([step?.outcome, step?.status], [outcome, status]);
      assert.match(step?.remedy ?? '', remedy);
    });
  }

  test('ends where something else answers', async () => {
    await using site = await serve(
      (_, response) => void response.writeHead(200, { 'content-type': MEDIA_TYPES.ociManifest }).end('<html>'),
    );
    const [step] = await pull(site.url);
    assert.equal(step?.outcome, 'failed');
    assert.match(step?.summary ?? '', /status 200, but manifest invalid/);
  });

  test('ends with its time, or with the caller’s signal', async () => {
    await using silent = await serve(() => undefined);
    const [step] = await pull(silent.url, { timeout: 100 });
    assert.match(step?.summary ?? '', /did not finish within the time/);
    const reason = new Error('interrupted');
    await assert.rejects(pull(silent.url, { signal: AbortSignal.abort(reason) }), reason);
  });
});
