import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Platform } from '../../oci/index.ts';
import { platformFilter } from './platforms.ts';

describe('platformFilter()', () => {
  const rows: readonly [list: readonly string[] | undefined, platform: Platform | undefined, kept: boolean][] = [
    [undefined, { os: 'plan9', architecture: 'mips' }, true],
    [['linux/amd64'], { os: 'linux', architecture: 'amd64' }, true],
    [['linux/amd64'], { os: 'linux', architecture: 'amd64', variant: 'v3' }, true],
    [['linux/amd64'], { os: 'windows', architecture: 'amd64' }, false],
    [['linux/amd64'], { os: 'linux', architecture: 'arm64' }, false],
    [['linux/amd64', 'linux/arm64'], { os: 'linux', architecture: 'arm64', variant: 'v8' }, true],
    [['linux/arm/v7'], { os: 'linux', architecture: 'arm', variant: 'v6' }, false],
    [['linux/arm/v7'], { os: 'linux', architecture: 'arm', variant: 'v7' }, true],
    [['linux/arm/v7'], { os: 'linux', architecture: 'arm' }, true],
    [['linux/arm64/v8'], { os: 'linux', architecture: 'arm64' }, true],
    [['linux/amd64'], { os: 'unknown', architecture: 'unknown' }, true],
    [['linux/amd64'], undefined, true],
  ];
  for (const [list, platform, kept] of rows) {
    const { os = 'none', architecture = '', variant = '' } = platform ?? {};
    test(`${list?.join(', ') ?? 'no list'} ${kept ? 'keeps' : 'leaves'} ${os}/${architecture}/${variant}`, () => {
      assert.equal(platformFilter(list)(platform), kept);
    });
  }
});
