import assert from 'node:assert/strict';
import type { LookupAddress, LookupOptions } from 'node:dns';
import { once } from 'node:events';
import { type AddressInfo, connect, createServer, isIP, type LookupFunction } from 'node:net';
import { describe, type TestContext, test } from 'node:test';

export interface ResolverUnderTest {
  readonly lookup: LookupFunction;
  /** A name that has `127.0.0.1`, and `::1` where `v6` says so. */
  readonly name: string;
  readonly v6: boolean;
}

/** What a caller that dials expects of a resolver: the contract of `dns.lookup`, as `net.connect` uses it. */
export function resolverSuite(
  kind: string,
  make: (t: TestContext) => ResolverUnderTest | Promise<ResolverUnderTest>,
): void {
  const ask = (lookup: LookupFunction, { host, ...options }: LookupOptions & { host: string }) =>
    new Promise<LookupAddress[] | LookupAddress>((resolve, reject) => {
      lookup(host, options, (error, found, family) => {
        if (error !== null) reject(error);
        else resolve(Array.isArray(found) ? found : { address: found, family: family ?? 0 });
      });
    });

  describe(`a resolver: ${kind}`, () => {
    test('gives all addresses, each with its family', async (t) => {
      const { lookup, name, v6 } = await make(t);
      const found = (await ask(lookup, { host: name, all: true })) as LookupAddress[];
      assert.ok(found.some(({ address }) => address === '127.0.0.1'));
      if (v6) assert.ok(found.some(({ address }) => address === '::1'));
      for (const { address, family } of found) assert.equal(isIP(address), family);
    });

    test('gives one where one is asked for', async (t) => {
      const { lookup, name } = await make(t);
      for (const family of [4, 'IPv4'] as const) {
        assert.deepEqual(await ask(lookup, { host: name, family }), { address: '127.0.0.1', family: 4 });
      }
      assert.deepEqual(await ask(lookup, { host: name, family: 4, all: true }), [{ address: '127.0.0.1', family: 4 }]);
    });

    test('passes literals', async (t) => {
      const { lookup } = await make(t);
      assert.deepEqual(await ask(lookup, { host: '192.0.2.7' }), { address: '192.0.2.7', family: 4 });
      assert.deepEqual(await ask(lookup, { host: '2001:db8::7' }), { address: '2001:db8::7', family: 6 });
    });

    test('knows localhost', async (t) => {
      const { lookup } = await make(t);
      assert.deepEqual(await ask(lookup, { host: 'localhost', family: 4 }), { address: '127.0.0.1', family: 4 });
    });

    test('asks for a name in any case', async (t) => {
      const { lookup, name } = await make(t);
      assert.deepEqual(await ask(lookup, { host: name.toUpperCase(), family: 4 }), { address: '127.0.0.1', family: 4 });
    });

    test('says of a name that does not exist that it does not', async (t) => {
      const { lookup } = await make(t);
      for (const host of ['nowhere.invalid', `${'x'.repeat(64)}.invalid`, 'a..invalid']) {
        await assert.rejects(ask(lookup, { host }), (error: NodeJS.ErrnoException) => {
          return ['ENOTFOUND', 'EAI_AGAIN'].includes(error.code ?? '');
        });
      }
    });

    test('is what a socket can be given', async (t) => {
      const { lookup, name } = await make(t);
      const server = createServer((socket) => socket.end('hello')).listen(0, '127.0.0.1');
      t.after(() => server.close());
      await once(server, 'listening');
      const { port } = server.address() as AddressInfo;
      const socket = connect({ host: name, port, lookup, autoSelectFamily: true });
      assert.equal(String((await once(socket, 'data'))[0]), 'hello');
      assert.equal(socket.remoteAddress, '127.0.0.1');
    });
  });
}
