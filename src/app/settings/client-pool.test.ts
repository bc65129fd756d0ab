import assert from 'node:assert/strict';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startCountingRelay } from '../../../test/support/counting-relay.ts';
import { eventually } from '../../../test/support/pull-stage.ts';
import { startScriptedUpstream } from '../../../test/support/scripted-upstream.ts';
import { TRANSPORT } from '../../../test/support/transport-spec.ts';
import type { TransportSpec } from '../../oci/index.ts';
import { ClientPool } from './client-pool.ts';
import { SettingsError } from './error.ts';

let directory = '';
before(async () => {
  directory = await mkdtemp(join(tmpdir(), 'entrepot-clients-'));
});
after(() => rm(directory, { recursive: true, force: true }));

function transport(more: Partial<TransportSpec> = {}): TransportSpec {
  return { ...TRANSPORT, ...more };
}

describe('ClientPool', () => {
  test('opens one client for each transport, however many ask at once', async () => {
    const clients = new ClientPool();
    const [one, other] = [transport(), transport()];
    const opened = await Promise.all([one, one, other].map((each) => clients.clientFor(each)));
    assert.equal(opened[0], opened[1]);
    assert.notEqual(opened[0], opened[2]);
    await clients.close();
  });

  test('reads a PEM file that could not be read again', async () => {
    const clients = new ClientPool();
    const caFile = join(directory, 'late.pem');
    const late = transport({ tls: { caFiles: [caFile], insecureSkipVerify: false } });
    await assert.rejects(clients.clientFor(late), SettingsError);
    await writeFile(caFile, 'late');
    assert.equal((await clients.optionsFor(late)).tls?.ca, 'late');
    await clients.clientFor(late);
    await clients.close();
  });

  test('shares a resolver among transports, until none of them is kept', async () => {
    const clients = new ClientPool();
    const { dialTimeout, tlsHandshakeTimeout, firstFragmentLen, allowPlainFallback } = TRANSPORT;
    const dns = {
      servers: [],
      bootstrap: [],
      fallback: 'system',
      hosts: { 'a.test': ['192.0.2.1'] },
      caFiles: [],
      dialTimeout,
      tlsHandshakeTimeout,
      firstFragmentLen,
      allowPlainFallback,
    } as const;
    const [one, other] = [transport({ dns }), transport({ dns })];
    const resolverOf = async (each: TransportSpec) => (await clients.optionsFor(each)).lookup;
    const resolver = await resolverOf(one);
    assert.ok(resolver !== undefined);
    assert.equal(await resolverOf(other), resolver);
    await clients.retire([one, other], [other]);
    assert.equal(await resolverOf(other), resolver);
    await clients.retire([other], [transport()]);
    assert.notEqual(await resolverOf(other), resolver);
    await clients.close();
  });

  test('closes idle connections of a retired transport, and keeps none that a late request opens', async () => {
    await using upstream = await startScriptedUpstream({});
    await using relay = await startCountingRelay(upstream.url);
    const clients = new ClientPool();
    const [gone, kept] = [transport(), transport()];
    const ask = async (each: TransportSpec): Promise<void> => {
      const client = await clients.clientFor(each);
      await client.fetch({
        method: 'GET',
        url: new URL(`${relay.url}/v2/`),
        headers: {},
        addresses: { kind: 'any' },
        maxBytes: 1024,
      });
    };
    await ask(gone);
    await ask(kept);
    assert.equal(relay.open, 2);
    await clients.retire([gone, kept], [kept]);
    await eventually(() => assert.equal(relay.open, 1));
    await ask(gone);
    await eventually(() => assert.equal(relay.open, 1));
    await ask(kept);
    assert.equal(relay.opened, 3);
    await clients.close();
    await eventually(() => assert.equal(relay.open, 0));
  });
});
