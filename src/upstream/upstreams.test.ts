import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { buildImage, type Content } from '../../test/support/image.ts';
import { type PersonalityName, startScriptedUpstream } from '../../test/support/scripted-upstream.ts';
import type { Origin } from '../cache/index.ts';
import type { ByteSource } from '../lib/index.ts';
import { createHttpClient, type HttpClient } from '../net/index.ts';
import { digestOf, type RegistrySpec, type Repository, type UpstreamSpec } from '../oci/index.ts';
import { Telemetry, type UpstreamRequest } from '../telemetry/index.ts';
import { createUpstreams, type Upstreams } from './index.ts';

/** What app.ts relies on: what is here fits what the cache needs. */
const _fits: (upstreams: Upstreams) => Origin = (upstreams) => upstreams;

const image = buildImage({ architectures: ['amd64'], layers: [300_000] });
const layer = image.platforms[0]?.layers[0] as Content;
const app: Repository = { registry: 'docker.io', repository: 'library/app' };
const latest = { kind: 'tag', tag: 'latest' } as const;

/** Upstreams of one registry, over real connections; everything is put away at the end of the scope. */
function connect(...upstreams: (Partial<UpstreamSpec> & { url: string })[]): Upstreams & {
  events: UpstreamRequest[];
  failovers: string[];
  [Symbol.asyncDispose](): Promise<void>;
} {
  const registry: RegistrySpec = {
    name: 'docker.io',
    hosts: [],
    aliases: [],
    pathNames: [],
    library: true,
    delivery: 'stream',
    upstreams: upstreams.map((each) => ({
      name: new URL(each.url).host,
      credentials: undefined,
      headers: {},
      capabilities: ['pull', 'resolve'],
      tls: undefined,
      tokenRealms: [],
      redirectHosts: undefined,
      ...each,
    })),
  };
  const telemetry = new Telemetry();
  const events: UpstreamRequest[] = [];
  const failovers: string[] = [];
  telemetry.on('upstream.request', (event) => events.push(event));
  telemetry.on('upstream.failover', (event) => failovers.push(`${event.from} → ${event.to}`));
  const clients = new Map<string, HttpClient>();
  const made = createUpstreams({
    find: (name) => (name === registry.name ? registry : undefined),
    httpClientFor: (_tls, key) => {
      const client = clients.get(key) ?? createHttpClient({});
      clients.set(key, client);
      return client;
    },
    telemetry,
    allowPrivate: [],
  });
  return {
    ...made,
    events,
    failovers,
    async [Symbol.asyncDispose]() {
      await Promise.all([...clients.values()].map((each) => each.close()));
    },
  };
}

async function readAll(body: ByteSource): Promise<Buffer> {
  const chunks: Buffer[] = [];
  for (;;) {
    const chunk = await body.read();
    if (chunk === undefined) return Buffer.concat(chunks);
    chunks.push(Buffer.from(chunk));
  }
}

const PERSONALITIES: readonly PersonalityName[] = ['plain', 'dockerHub', 'ghcr', 'quay', 'ecrPublic', 'ecr', 'k8s'];
const credentials = { username: 'someone', password: 'canary-password' };

describe('a pull through', () => {
  for (const personality of PERSONALITIES) {
    test(`${personality} brings the right bytes and leaks nothing`, async () => {
      const needed = personality === 'ecr';
      await using registry = await startScriptedUpstream({ personality, ...(needed ? { credentials } : {}) });
      registry.add(image, app.repository, ['latest']);
      await using upstreams = connect({ url: registry.url, ...(needed ? { credentials } : {}) });

      const head = await upstreams.headManifest(app, latest);
      assert.equal(head.digest, image.index.digest);
      assert.equal(head.mediaType, image.index.mediaType);
      assert.equal(head.size, image.index.size);
      assert.equal(head.visibility, needed ? 'private' : 'public');
      const manifest = await upstreams.getManifest(app, { kind: 'digest', digest: head.digest });
      assert.deepEqual(manifest.bytes, image.index.bytes);
      assert.equal((await upstreams.headBlob(app, layer.digest)).size, layer.size);
      const blob = await upstreams.openBlob(app, layer.digest);
      assert.equal(blob.size, layer.size);
      assert.equal(digestOf(await readAll(blob.body)), layer.digest);
      const tail = await upstreams.openBlob(app, layer.digest, { offset: 1000, end: 1999 });
      assert.deepEqual(await readAll(tail.body), layer.bytes.subarray(1000, 2000));

      assert.deepEqual(registry.leaks(), [], registry.journal());
      assert.equal(registry.count({ at: 'token' }) <= 1, true, 'one token does for a repository');
      assert.equal(registry.count({ at: 'registry', status: 401 }) <= 1, true, 'one challenge is enough');
    });
  }
});
