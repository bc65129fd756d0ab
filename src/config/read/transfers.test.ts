import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatProblem } from '../problems.ts';
import { loadConfig } from './load.ts';
import { findNotes } from './notes.ts';

async function notesOn(text: string, env: Readonly<Record<string, string>> = {}): Promise<readonly string[]> {
  const { config, settings } = await loadConfig({ cwd: '/', env: { HOME: '/nowhere', ENTREPOT_CONFIG: text, ...env } });
  return findNotes(config, settings).map(formatProblem);
}

const registry = (own: string, upstream = '') =>
  `registries: {apps: {${own}upstreams: [{url: "https://a.example"${upstream}}]}}`;

describe('notes on large blobs', () => {
  const noted: readonly (readonly [what: string, text: string, note: string])[] = [
    [
      'more connections than half of max_conns_per_host',
      'transport: {max_conns_per_host: 5}\ntransfer: {connections: 8}',
      'ENTREPOT_CONFIG:2:12  transfer.connections: one blob gets at most half of transport.max_conns_per_host (5), here 3. Set that to 15 or more, or connections to 3',
    ],
    [
      'more than half of its default',
      'transfer: {connections: 33}',
      'ENTREPOT_CONFIG:1:12  transfer.connections: one blob gets at most half of transport.max_conns_per_host (64), here 32. Set that to 65 or more, or connections to 32',
    ],
    [
      'more of a registry',
      `transport: {max_conns_per_host: 4}\n${registry('transfer: {connections: 3}, ')}`,
      'ENTREPOT_CONFIG:2:32  registries.apps.transfer.connections: one blob gets at most half of transport.max_conns_per_host (4), here 2. Set that to 5 or more, or connections to 2',
    ],
    [
      'more of a registry without upstreams of its own',
      'transport: {max_conns_per_host: 4}\nregistries: {ghcr.io: {transfer: {connections: 3}}}',
      'ENTREPOT_CONFIG:2:35  registries["ghcr.io"].transfer.connections: one blob gets at most half of transport.max_conns_per_host (4), here 2. Set that to 5 or more, or connections to 2',
    ],
    [
      'more of an upstream',
      registry('', ', transport: {max_conns_per_host: 2}, transfer: {connections: 2}'),
      'ENTREPOT_CONFIG:1:107  registries.apps.upstreams[0].transfer.connections: one blob gets at most half of registries.apps.upstreams[0].transport.max_conns_per_host (2), here 1. Set that to 3 or more, or connections to 1',
    ],
    [
      'fewer of an upstream than all are to use',
      `transfer: {connections: 8}\n${registry('', ', transport: {max_conns_per_host: 8}')}`,
      'ENTREPOT_CONFIG:2:72  registries.apps.upstreams[0].transport.max_conns_per_host: one blob gets at most half of them, here 4, and transfer.connections is 8. Set it to 15 or more, or transfer.connections of this upstream to 4',
    ],
    [
      'a size of parts where there are none',
      'transfer: {connections: 1, min_segment: 8MiB}',
      'ENTREPOT_CONFIG:1:28  transfer.min_segment: without effect: transfer.connections is 1, so no blob is split. Set that to 2 or more, or remove this',
    ],
    [
      'parts that are larger than half of the cache',
      'cache: {max_size: 20GiB}\ntransfer: {min_segment: 16GiB}',
      'ENTREPOT_CONFIG:2:12  transfer.min_segment: no blob that fits into cache.max_size has two such parts, so none is split. Set it to a few MiB, or connections to 1',
    ],
    [
      'less room for partial content than one blob needs',
      'cache: {partial_size: 5MB}',
      'ENTREPOT_CONFIG:1:9  cache.partial_size: keeps nothing, as partial content has 8 MiB at least. Set it to a few GB, or to 0 to turn it off',
    ],
    [
      'more room for partial content than the cache has',
      'cache: {max_size: 20GiB, partial_size: 30GiB}',
      'ENTREPOT_CONFIG:1:26  cache.partial_size: without effect beyond cache.max_size, which bounds partial content too. Set it to less than that',
    ],
    [
      'what a server without a cache does not use',
      'cache: off\ntransfer: {connections: 8}',
      'ENTREPOT_CONFIG:2:12  transfer.connections: without effect: with cache: off a blob comes over one connection. Remove it, or set cache.dir',
    ],
  ];
  for (const [what, text, note] of noted) {
    test(`name ${what}`, async () => assert.deepEqual(await notesOn(text), [note]));
  }

  test('name the variable that sets it', async () => {
    const [note = '', ...more] = await notesOn('transport: {max_conns_per_host: 4}', {
      ENTREPOT_TRANSFER__CONNECTIONS: '3',
    });
    assert.match(note, /^ENTREPOT_TRANSFER__CONNECTIONS {2}transfer\.connections: one blob gets at most half/);
    assert.deepEqual(more, []);
  });

  const fine: readonly (readonly [what: string, text: string])[] = [
    ['all that half allows', 'transport: {max_conns_per_host: 5}\ntransfer: {connections: 3}'],
    ['no limit', 'transport: {max_conns_per_host: 0}\ntransfer: {connections: 64}'],
    ['a low limit where nothing is said of connections', 'transport: {max_conns_per_host: 2}'],
    ['a limit of its own', `transfer: {connections: 8}\n${registry('', ', transport: {max_conns_per_host: 15}')}`],
    [
      'a registry whose upstreams have limits of their own',
      registry('transfer: {connections: 40}, ', ', transport: {max_conns_per_host: 80}'),
    ],
    ['one connection', 'transport: {max_conns_per_host: 1}\ntransfer: {connections: 1}'],
    [
      'a size of parts that one upstream does not use',
      `transfer: {min_segment: 8MiB}\n${registry('', ', transfer: {connections: 1}')}`,
    ],
    [
      'a size of parts that one upstream alone uses',
      `transfer: {connections: 1, min_segment: 8MiB}\n${registry('', ', transfer: {connections: 4}')}`,
    ],
    ['no room for partial content', 'cache: {partial_size: 0}'],
    ['half of the cache', 'cache: {max_size: 20GiB}\ntransfer: {min_segment: 10GiB}'],
  ];
  for (const [what, text] of fine)
    test(`are not made on ${what}`, async () => assert.deepEqual(await notesOn(text), []));

  test('name each place once', async () => {
    const text =
      'registries: {apps: {transfer: {connections: 64}, upstreams: ["https://a.example", "https://b.example"]}}';
    assert.equal((await notesOn(text)).length, 1);
  });
});
