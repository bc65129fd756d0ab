import assert from 'node:assert/strict';
import { randomBytes } from 'node:crypto';
import type { TestContext } from 'node:test';
import { digestOf } from '../../src/oci/index.ts';
import { type PushStage, pushStage, type Reply } from './push-stage.ts';
import { PushUpstream, type PushUpstreamOptions } from './push-upstream.ts';

export const ACCOUNT = { username: 'robot', password: 'hidden-secret' };
export const REPOSITORY = '/v2/ours/app';
export const IMAGE = 'application/vnd.oci.image.manifest.v1+json';

export async function stage(
  t: TestContext,
  {
    upstream: upstreamOptions = { credentials: ACCOUNT },
    ...options
  }: { readonly upstream?: PushUpstreamOptions } & Partial<Parameters<typeof pushStage>[1]> = {},
): Promise<{ readonly upstream: PushUpstream; readonly stage: PushStage; readonly ask: PushStage['ask'] }> {
  const upstream = await PushUpstream.start(upstreamOptions);
  t.after(() => upstream.close());
  const { credentials } = upstreamOptions;
  const made = await pushStage(t, { upstreams: [{ url: upstream.url, credentials }], ...options });
  return { upstream, stage: made, ask: made.ask };
}

export async function start(ask: PushStage['ask'], query = ''): Promise<string> {
  const reply = await ask('POST', `${REPOSITORY}/blobs/uploads/${query}`);
  assert.deepEqual([reply.status, reply.message], [202, undefined]);
  return reply.headers['location'] ?? '';
}

export async function upload(ask: PushStage['ask'], bytes: Buffer): Promise<string> {
  const digest = digestOf(bytes);
  const location = await start(ask);
  const done = await ask('PUT', `${location}&digest=${digest}`, { body: bytes });
  assert.deepEqual([done.status, done.message], [201, undefined]);
  return digest;
}

/** An image of one layer, its config and manifest. */
export function image(layer: Buffer) {
  const config = Buffer.from(
    JSON.stringify({ architecture: 'amd64', os: 'linux', random: randomBytes(4).toString('hex') }),
  );
  const descriptor = (mediaType: string, bytes: Buffer) => ({ mediaType, digest: digestOf(bytes), size: bytes.length });
  const manifest = Buffer.from(
    JSON.stringify({
      schemaVersion: 2,
      mediaType: IMAGE,
      config: descriptor('application/vnd.oci.image.config.v1+json', config),
      layers: [descriptor('application/vnd.oci.image.layer.v1.tar', layer)],
    }),
  );
  return { layer, config, manifest, digest: digestOf(manifest) };
}

export async function pushImage(
  ask: PushStage['ask'],
  { layer, config, manifest }: ReturnType<typeof image>,
  tag: string,
) {
  await upload(ask, layer);
  await upload(ask, config);
  return ask('PUT', `${REPOSITORY}/manifests/${tag}`, { headers: { 'content-type': IMAGE }, body: manifest });
}

export const outcome = ({ status, code }: Reply): readonly unknown[] => [status, code];
