import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { Outlook } from '../../cache/index.ts';
import { digestOf } from '../../oci/index.ts';
import { type NextPullFacts, planNextPull, sayNextPull } from './next-pull.ts';

const [DIGEST, YOUNG] = [digestOf(Buffer.from('a')), digestOf(Buffer.from('b'))];
const NOW = Date.parse('2026-11-30T10:00:00.000Z');
const MINUTE = 60_000;

const OUTLOOK: Outlook = {
  keepsManifests: true,
  digest: DIGEST,
  parts: { manifest: true, stored: 2, named: 2 },
  checkedAt: NOW - MINUTE,
  freshUntil: NOW + MINUTE,
  hold: undefined,
  cooling: undefined,
};
const HOLD = { digest: DIGEST, mediaType: '', size: 1, upstream: 'hub', visibility: 'public', heldAt: NOW } as const;

const STORED: NextPullFacts = {
  home: 'mirrored',
  reference: { kind: 'tag', tag: 'latest' },
  state: 'stored',
  outlook: OUTLOOK,
  keeps: true,
  upstreams: [{ name: 'hub' }, { name: 'quay' }],
  now: NOW,
};

function resting(name: string): NextPullFacts['upstreams'][number] {
  const health = { registry: 'docker.io', upstream: name, state: 'open', scope: 'all' } as const;
  return { name, health: { ...health, openUntil: NOW + MINUTE } };
}

describe('sayNextPull()', () => {
  const rows: readonly (readonly [name: string, next: Partial<NextPullFacts>, says: string])[] = [
    [
      'fresh and stored',
      {},
      'The next pull asks no upstream where the tag points, which is fresh until 2026-11-30T10:01:00.000Z; every byte comes from this server.',
    ],
    [
      'no longer fresh',
      { outlook: { ...OUTLOOK, freshUntil: NOW } },
      'The next pull asks hub whether the tag has moved; if it has not, every byte comes from this server.',
    ],
    [
      'in part',
      { state: 'partial' },
      'The next pull asks no upstream where the tag points, which is fresh until 2026-11-30T10:01:00.000Z; what is stored comes from this server, and the rest from hub.',
    ],
    [
      'missing',
      { state: 'missing', outlook: { ...OUTLOOK, digest: undefined } },
      'The next pull asks hub for the image, and stores what it gets.',
    ],
    [
      'held',
      { outlook: { ...OUTLOOK, hold: { ...HOLD, until: NOW + MINUTE, reason: 'broken' } } },
      `The next pull gets ${DIGEST}, at which the tag is held until 2026-11-30T10:01:00.000Z; every byte comes from this server.`,
    ],
    [
      'held for good',
      { outlook: { ...OUTLOOK, hold: { ...HOLD, until: undefined, reason: '' } } },
      `The next pull gets ${DIGEST}, at which the tag is held; every byte comes from this server.`,
    ],
    [
      'cooling',
      { outlook: { ...OUTLOOK, cooling: { digest: YOUNG, until: NOW + MINUTE } } },
      `The next pull asks no upstream where the tag points, which is fresh until 2026-11-30T10:01:00.000Z, and gets ${DIGEST}, since ${YOUNG} is younger than its cooldown until 2026-11-30T10:01:00.000Z; every byte comes from this server.`,
    ],
    [
      'young, without an older digest',
      { outlook: { ...OUTLOOK, cooling: { digest: DIGEST, until: NOW + MINUTE } } },
      'The next pull asks no upstream where the tag points, which is fresh until 2026-11-30T10:01:00.000Z; every byte comes from this server.',
    ],
    [
      'by digest',
      { reference: { kind: 'digest', digest: DIGEST }, state: 'partial' },
      'The next pull asks no upstream for the manifest; what is stored comes from this server, and the rest from hub.',
    ],
    ['without a cache', { keeps: false, outlook: undefined }, 'The next pull asks hub, since the cache is off.'],
    [
      'manifests not kept',
      { outlook: { ...OUTLOOK, keepsManifests: false } },
      'The next pull asks hub, since manifests are not kept (cache.tags: never).',
    ],
    [
      'the first upstream rests',
      { state: 'missing', outlook: undefined, upstreams: [resting('hub'), { name: 'quay' }] },
      'The next pull asks quay (hub failed a moment ago) for the image, and stores what it gets.',
    ],
    [
      'every upstream rests',
      { outlook: { ...OUTLOOK, freshUntil: 0 }, upstreams: [resting('hub')] },
      'The next pull asks hub (which failed a moment ago, and is asked again soon) whether the tag has moved; if it has not, every byte comes from this server.',
    ],
    [
      'hosted',
      { home: 'hosted', outlook: undefined },
      'The next pull is answered from this server, to which the image was pushed.',
    ],
    [
      'hosted and not pushed',
      { home: 'hosted', state: 'missing', outlook: undefined },
      'The next pull fails: the image is hosted here, and was not pushed yet.',
    ],
  ];
  for (const [name, next, says] of rows) {
    test(name, () => {
      const facts = { ...STORED, ...next };
      assert.equal(sayNextPull(planNextPull(facts), facts), says);
    });
  }
});
