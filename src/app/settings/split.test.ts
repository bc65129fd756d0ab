import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { RegistrySpec } from '../../oci/index.ts';
import { splitOf } from './split.ts';

const MiB = 1024 * 1024;
const narrow = { maxConnsPerHost: 4 };
const wide = { maxConnsPerHost: 16 };

const registry = {
  name: 'docker.io',
  transfer: { minSegment: 8 * MiB },
  upstreams: [
    { name: 'mirror', url: 'https://mirror.example/team', transport: { upstream: wide, redirect: wide } },
    {
      name: 'hub',
      url: 'https://hub.example',
      transport: { upstream: wide, redirect: narrow },
      transfer: { connections: 1 },
    },
  ],
} as unknown as RegistrySpec;

type Given = Parameters<typeof splitOf>[0];
const config = {
  transfer: { connections: 4, minSegment: 16 * MiB },
  transport: { maxConnsPerHost: 0 },
} as unknown as Given;
const split = splitOf(config, { list: () => [registry] });

describe('splitOf', () => {
  test('is what an upstream says, then its registry, then the server', () => {
    const { connections, minSegment } = split('docker.io', 'hub');
    assert.deepEqual([connections, minSegment], [1, 8 * MiB]);
    assert.equal(split('docker.io', 'mirror').connections, 4);
  });

  test('has half of the connections of a host, less that of the front, and those of its redirects', () => {
    assert.equal(split('docker.io', 'mirror').mostOfUpstream, 7);
    assert.equal(split('docker.io', 'hub').mostOfUpstream, 1);
    assert.equal(split('any.example', 'any.example').mostOfUpstream, Number.POSITIVE_INFINITY);
  });

  test('names the host that upstreams may share', () => {
    assert.equal(split('docker.io', 'mirror').host, 'mirror.example');
    assert.equal(split('any.example', 'any.example').host, undefined);
  });
});
