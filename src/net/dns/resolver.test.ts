import assert from 'node:assert/strict';
import { type LookupAddress, lookup as systemLookup } from 'node:dns';
import type { LookupFunction } from 'node:net';
import { describe, type TestContext, test } from 'node:test';
import { resolverSuite } from '../../../test/suites/resolver.ts';
import {
  type DnsScript,
  type ScriptedDnsServer,
  startDohServer,
  startDotServer,
  zone,
} from '../../../test/support/dns-servers.ts';
import { failsWith } from '../../../test/support/fails-with.ts';
import { startMiddlebox } from '../../../test/support/middlebox.ts';
import { check, freePort, needs, Workspace } from '../../../test/support/processes.ts';
import { startRawServer, testPem } from '../../../test/support/raw-server.ts';
import { Telemetry } from '../../telemetry/index.ts';
import { createHttpClient } from '../http/client.ts';
import { createResolver, type Resolver, type ResolverOptions } from './resolver.ts';

const START = { doh: startDohServer, dot: startDotServer } as const;
type Kind = keyof typeof START;
const KINDS = ['doh', 'dot'] as const;
const NAMES = { 'both.test': ['127.0.0.1', '::1'], 'four.test': ['192.0.2.4'], 'six.test': ['2001:db8::6'] };

async function start(t: TestContext, kind: Kind, script: DnsScript): Promise<ScriptedDnsServer> {
  const server = await START[kind](script);
  t.after(() => server.close());
  return server;
}

/** A system resolver that must not be asked. */
const poisoned: LookupFunction = (_host, _options, callback) => {
  callback(null, [{ address: '203.0.113.66', family: 4 }]);
};

function open(t: TestContext, options: ResolverOptions): Resolver {
  const resolver = createResolver({ tls: { ca: testPem('ca') }, fallback: 'none', system: poisoned, ...options });
  t.after(() => resolver.close());
  return resolver;
}

function addresses({ lookup }: Resolver, host: string, family: 0 | 4 | 6 = 0): Promise<string[]> {
  return new Promise((resolve, reject) => {
    lookup(host, { all: true, family }, (error, found) => {
      if (error !== null) reject(error);
      else resolve((found as LookupAddress[]).map(({ address }) => address).toSorted());
    });
  });
}

/** Looks the name with addresses of both families up until both are known: on a busy machine one of them may be late. */
async function untilBoth(resolver: Resolver): Promise<void> {
  while ((await addresses(resolver, 'both.test')).length < 2) await new Promise((resolve) => setImmediate(resolve));
  assert.deepEqual(await addresses(resolver, 'both.test'), ['127.0.0.1', '::1']);
}

function withCode(code: string, message = /./): (error: NodeJS.ErrnoException) => boolean {
  return (error) => {
    assert.equal(error.code, code, error.message);
    assert.match(error.message, message);
    return true;
  };
}

resolverSuite('the system', () => ({ lookup: systemLookup, name: 'localhost', v6: false }));
for (const kind of KINDS) {
  resolverSuite(kind, async (t) => {
    const server = await start(t, kind, zone(NAMES));
    return { lookup: open(t, { servers: [server.address] }).lookup, name: 'both.test', v6: true };
  });
}

for (const kind of KINDS) {
  describe(`createResolver() over ${kind}`, () => {
    test('asks for both families at once, and hides the length of the name', async (t) => {
      const server = await start(t, kind, zone(NAMES));
      const resolver = open(t, { servers: [server.address] });
      await untilBoth(resolver);
      assert.deepEqual(server.questions.map(({ name, type }) => `${type} ${name}`).toSorted(), [
        'A both.test',
        'AAAA both.test',
      ]);
      assert.ok(server.questions.every(({ length }) => length === 128));
      if (kind === 'doh') assert.ok(server.questions.every(({ id }) => id === 0));
      assert.deepEqual(await addresses(resolver, 'four.test'), ['192.0.2.4']);
      assert.deepEqual(await addresses(resolver, 'six.test'), ['2001:db8::6']);
      assert.deepEqual(await addresses(resolver, 'six.test', 6), ['2001:db8::6']);
      await assert.rejects(addresses(resolver, 'four.test', 6), withCode('ENOTFOUND'));
    });

    test('keeps its connections', async (t) => {
      const server = await start(t, kind, zone({ ...NAMES, 'a.test': ['192.0.2.1'], 'b.test': ['192.0.2.2'] }));
      const resolver = open(t, { servers: [server.address] });
      for (const name of ['both.test', 'a.test', 'b.test', 'four.test']) await addresses(resolver, name);
      assert.equal(server.connections(), kind === 'dot' ? 1 : 2);
    });

    test('asks once for many who want the same', async (t) => {
      const held = Promise.withResolvers<void>();
      const server = await start(t, kind, (question) => ({ ...zone(NAMES)(question), after: held.promise }));
      const resolver = open(t, { servers: [server.address] });
      const all = Array.from({ length: 50 }, () => addresses(resolver, 'both.test'));
      while (server.questions.length < 2) await new Promise((resolve) => setImmediate(resolve));
      held.resolve();
      for (const found of await Promise.all(all)) assert.deepEqual(found, ['127.0.0.1', '::1']);
      assert.equal(server.questions.length, 2);
    });

    test('follows aliases, and believes no record of another name', async (t) => {
      const server = await start(t, kind, ({ name, type }) => ({
        answers:
          type === 'AAAA'
            ? []
            : [
                { name: 'x.cdn.test', type: 'A', ttl: 60, data: '192.0.2.9' },
                { name: 'CDN.test', type: 'CNAME', ttl: 60, data: 'x.cdn.test' },
                { name, type: 'CNAME', ttl: 60, data: 'cdn.test' },
                { name: 'evil.test', type: 'A', ttl: 60, data: '192.0.2.66' },
              ],
      }));
      assert.deepEqual(await addresses(open(t, { servers: [server.address] }), 'alias.test'), ['192.0.2.9']);
    });

    test('does not wait long for a family that is late', async (t) => {
      const held = Promise.withResolvers<void>();
      const server = await start(t, kind, (question) => ({
        ...zone(NAMES)(question),
        ...(question.type === 'AAAA' ? { after: held.promise } : {}),
      }));
      const resolver = open(t, { servers: [server.address] });
      assert.deepEqual(await addresses(resolver, 'both.test'), ['127.0.0.1']);
      held.resolve();
      await untilBoth(resolver);
      assert.equal(server.questions.length, 2);
    });

    const failures: readonly (readonly [string, DnsScript])[] = [
      ['says SERVFAIL', () => ({ rcode: 2 })],
      ['says REFUSED', () => ({ rcode: 5 })],
      ['hangs up', () => ({ instead: 'end' })],
      ['says nothing', () => ({ instead: 'silence' })],
      ['sends what is no message', () => ({ raw: Buffer.from('not DNS at all') })],
      [
        'answers another question',
        () => ({ raw: Buffer.from('000080000001000000000000016100000100 01'.replace(' ', ''), 'hex') }),
      ],
    ];
    for (const [what, script] of failures) {
      test(`asks the next where a server ${what}`, async (t) => {
        const bad = await start(t, kind, script);
        const good = await start(t, kind, zone(NAMES));
        const resolver = open(t, { servers: [bad.address, good.address], queryTimeout: 500 });
        await untilBoth(resolver);
        const alone = open(t, { servers: [bad.address], queryTimeout: 100 });
        await assert.rejects(addresses(alone, 'both.test'), withCode('EAI_AGAIN', /no name server could answer/));
      });
    }

    test('leaves a server that failed alone for 30 seconds, one that only knows no answer not', async (t) => {
      let broken = true;
      const first = await start(t, kind, (question) => (broken ? { instead: 'end' } : zone(NAMES)(question)));
      const second = await start(t, kind, zone(NAMES));
      const clock = { now: 0 };
      const resolver = open(t, { servers: [first.address, second.address], now: () => clock.now });
      await addresses(resolver, 'four.test', 4);
      const tried = first.questions.length;
      assert.ok(tried > 0);
      clock.now = 29_999;
      await addresses(resolver, 'both.test', 4);
      assert.equal(first.questions.length, tried);
      clock.now = 30_001;
      broken = false;
      await addresses(resolver, 'six.test', 6);
      assert.equal(first.questions.length, tried + 1);
      assert.equal(second.questions.length, 2);
    });

    test('asks through a cut ClientHello', async (t) => {
      const server = await start(t, kind, zone(NAMES));
      const middlebox = await startMiddlebox(server.port, ([first]) =>
        (first?.payload.length ?? 0) > 3 ? 'reset' : 'pass',
      );
      t.after(() => middlebox.close());
      const address = server.address.replace(`:${server.port}`, `:${middlebox.port}`);
      const resolver = open(t, { servers: [address], firstFragmentLen: 3, allowPlainFallback: false });
      await untilBoth(resolver);
      await assert.rejects(addresses(open(t, { servers: [address] }), 'both.test'), withCode('EAI_AGAIN'));
    });

    test('finds a server that has a name by its bootstrap address, and by `hosts`', async (t) => {
      const server = await start(t, kind, zone(NAMES));
      const address = server.address.replace('127.0.0.1', 'dns.registry.test');
      const hosts = { 'dns.registry.test': ['127.0.0.1'] };
      for (const known of [{ bootstrap: ['127.0.0.1'] }, { hosts }]) {
        assert.deepEqual(await addresses(open(t, { servers: [address], ...known }), 'four.test'), ['192.0.2.4']);
      }
    });

    test('trusts no server with another certificate', async (t) => {
      const server = await start(t, kind, zone(NAMES));
      const resolver = open(t, { servers: [server.address], tls: {} });
      await assert.rejects(addresses(resolver, 'four.test'), withCode('EAI_AGAIN', /certificate|trusted/));
      assert.deepEqual(server.questions, []);
    });
  });
}

describe('createResolver() remembers', () => {
  async function scene(t: TestContext, ttl: number, names: Record<string, readonly string[]> = NAMES) {
    const clock = { now: 1_000_000 };
    const world = { names, ttl, down: false };
    const server = await start(t, 'dot', (question) =>
      world.down ? { instead: 'end' } : zone(world.names, { ttl: world.ttl })(question),
    );
    const resolver = open(t, { servers: [server.address], now: () => clock.now, queryTimeout: 1_000 });
    return { clock, world, server, resolver, four: () => addresses(resolver, 'four.test', 4) };
  }

  const lifetimes: readonly (readonly [string, number, number])[] = [
    ['as long as the zone says', 60, 60_000],
    ['5 seconds at least', 1, 5_000],
    ['an hour at most', 86_400, 3_600_000],
  ];
  for (const [what, ttl, milliseconds] of lifetimes) {
    test(`an address ${what}`, async (t) => {
      const { clock, server, four } = await scene(t, ttl);
      await four();
      clock.now += milliseconds - 1;
      await four();
      assert.equal(server.questions.length, 1);
      clock.now += 1;
      await four();
      assert.equal(server.questions.length, 2);
    });
  }

  test('an address as long as the shortest record on the way to it', async (t) => {
    const clock = { now: 0 };
    const server = await start(t, 'dot', ({ name }) => ({
      answers: [
        { name, type: 'CNAME', ttl: 10, data: 'cdn.test' },
        { name: 'cdn.test', type: 'A', ttl: 3600, data: '192.0.2.9' },
      ],
    }));
    const resolver = open(t, { servers: [server.address], now: () => clock.now });
    for (const [time, questions] of [
      [0, 1],
      [9_999, 1],
      [10_000, 2],
    ] as const) {
      clock.now = time;
      await addresses(resolver, 'x.test', 4);
      assert.equal(server.questions.length, questions);
    }
  });

  for (const [what, minimum, milliseconds] of [
    ['as long as the zone says', 4, 4_000],
    ['10 seconds at most', 3600, 10_000],
  ] as const) {
    test(`that a name does not exist, ${what}`, async (t) => {
      const { clock, server, resolver, world } = await scene(t, minimum, {});
      const absent = () => assert.rejects(addresses(resolver, 'absent.test', 4), withCode('ENOTFOUND'));
      await absent();
      clock.now += milliseconds - 1;
      await absent();
      assert.equal(server.questions.length, 1);
      clock.now += 1;
      world.names = { 'absent.test': ['192.0.2.8'] };
      assert.deepEqual(await addresses(resolver, 'absent.test', 4), ['192.0.2.8']);
    });
  }

  test('nothing of a "no" that does not say how long it holds', async (t) => {
    const server = await start(t, 'dot', () => ({ rcode: 3 }));
    const resolver = open(t, { servers: [server.address] });
    for (let i = 1; i <= 2; i++) {
      await assert.rejects(addresses(resolver, 'absent.test', 4), withCode('ENOTFOUND'));
      assert.equal(server.questions.length, i);
    }
  });

  test('an old answer for a day, where no new one is to be had', async (t) => {
    const { clock, world, four } = await scene(t, 60);
    assert.deepEqual(await four(), ['192.0.2.4']);
    world.down = true;
    clock.now += 60_000 + 24 * 3_600_000 - 1;
    assert.deepEqual(await four(), ['192.0.2.4']);
    clock.now += 30_001;
    await assert.rejects(four(), withCode('EAI_AGAIN'));
  });

  test('an old answer while a new one is slow to come', async (t) => {
    const held = Promise.withResolvers<void>();
    const clock = { now: 0 };
    let address = '192.0.2.1';
    const server = await start(t, 'dot', ({ name }) => ({
      answers: [{ name, type: 'A', ttl: 60, data: address }],
      ...(address === '192.0.2.1' ? {} : { after: held.promise }),
    }));
    const resolver = open(t, { servers: [server.address], now: () => clock.now });
    const x = () => addresses(resolver, 'x.test', 4);
    assert.deepEqual(await x(), ['192.0.2.1']);
    address = '192.0.2.2';
    clock.now = 61_000;
    assert.deepEqual(await x(), ['192.0.2.1']);
    held.resolve();
    while ((await x())[0] !== '192.0.2.2') await new Promise((resolve) => setImmediate(resolve));
    assert.equal(server.questions.length, 2);
  });

  test('a new "no" rather than an old address', async (t) => {
    const { clock, world, four } = await scene(t, 60);
    await four();
    clock.now += 61_000;
    world.names = {};
    await assert.rejects(four(), withCode('ENOTFOUND'));
  });
});

describe('createResolver()', () => {
  test('never asks the system with fallback none, so that a poisoned one cannot mislead it', async (t) => {
    const target = await startRawServer(({ socket }) =>
      socket.write('HTTP/1.1 200 OK\r\ncontent-length: 5\r\n\r\nhello'),
    );
    t.after(() => target.close());
    const server = await start(t, 'dot', zone({ 'registry.test': ['127.0.0.1'] }));
    const asked: string[] = [];
    const system: LookupFunction = (host, options, callback) => {
      asked.push(host);
      poisoned(host, options, callback);
    };
    const resolver = open(t, { servers: [server.address], system });
    const http = createHttpClient({ lookup: resolver.lookup });
    t.after(() => http.close());
    const request = { method: 'GET', headers: {}, maxBytes: 9 } as const;
    const url = new URL(`http://registry.test:${target.port}/`);
    const reply = await http.fetch({ ...request, url, addresses: { kind: 'any' } });
    assert.equal(reply.body.toString(), 'hello');
    // What it says is judged all the same.
    const judged = http.fetch({ ...request, url, addresses: { kind: 'public', allow: [] } });
    await assert.rejects(judged, failsWith('forbidden', /127\.0\.0\.1 is not a public address/));
    const absent = http.fetch({ ...request, url: new URL('http://absent.test/'), addresses: { kind: 'any' } });
    await assert.rejects(absent, failsWith('dns', /no name server knows it/));
    assert.deepEqual(asked, []);
  });

  test('asks the system where no server knows a name, and where none can be asked', async (t) => {
    let broken = false;
    const server = await start(t, 'dot', (question) => (broken ? { instead: 'end' } : zone(NAMES)(question)));
    const resolver = open(t, { servers: [server.address], fallback: 'system' });
    assert.deepEqual(await addresses(resolver, 'four.test'), ['192.0.2.4']);
    assert.deepEqual(await addresses(resolver, 'inside.test'), ['203.0.113.66']);
    broken = true;
    assert.deepEqual(await addresses(resolver, 'other.test'), ['203.0.113.66']);
  });

  test('sends no query for names of its own, literals and localhost', async (t) => {
    const server = await start(t, 'dot', zone(NAMES));
    const hosts = { 'Own.Test': ['192.0.2.50', '2001:db8::50'] };
    const resolver = open(t, { servers: [server.address], hosts, fallback: 'system' });
    assert.deepEqual(await addresses(resolver, 'own.test.'), ['192.0.2.50', '2001:db8::50']);
    assert.deepEqual(await addresses(resolver, 'own.test', 4), ['192.0.2.50']);
    assert.deepEqual(await addresses(resolver, '192.0.2.1'), ['192.0.2.1']);
    assert.deepEqual(await addresses(resolver, 'localhost'), ['127.0.0.1', '::1']);
    assert.deepEqual(await addresses(resolver, 'x.localhost', 6), ['::1']);
    assert.deepEqual(server.questions, []);
  });

  test('refuses servers that are neither', () => {
    for (const text of [
      '1.1.1.1',
      'http://dns.test/',
      'tls://',
      'udp://1.1.1.1',
      'https://u:p@dns.test/',
      'tls://1.1.1.1/x',
    ]) {
      assert.throws(() => createResolver({ servers: [text] }), TypeError, text);
    }
  });

  test('tells two questions on one connection apart, whichever is answered first', async (t) => {
    const held = Promise.withResolvers<void>();
    const server = await start(t, 'dot', (question) => ({
      ...zone({ 'slow.test': ['192.0.2.1'], 'fast.test': ['192.0.2.2'] })(question),
      ...(question.name === 'slow.test' ? { after: held.promise } : {}),
    }));
    const resolver = open(t, { servers: [server.address] });
    const slow = addresses(resolver, 'slow.test', 4);
    assert.deepEqual(await addresses(resolver, 'fast.test', 4), ['192.0.2.2']);
    held.resolve();
    assert.deepEqual(await slow, ['192.0.2.1']);
    assert.equal(server.connections(), 1);
  });

  test('asks again where a kept connection was closed meanwhile', async (t) => {
    let turn = 0;
    const server = await start(t, 'dot', (question) => (++turn === 2 ? { instead: 'end' } : zone(NAMES)(question)));
    const resolver = open(t, { servers: [server.address] });
    await addresses(resolver, 'four.test', 4);
    assert.deepEqual(await addresses(resolver, 'both.test', 4), ['127.0.0.1']);
    assert.equal(server.connections(), 2);
  });

  test('refuses what a DoH server says with another status or type', async (t) => {
    for (const wrong of [{ status: 500 }, { type: 'text/html' }]) {
      const server = await startDohServer(zone(NAMES), wrong);
      t.after(() => server.close());
      await assert.rejects(
        addresses(open(t, { servers: [server.address] }), 'four.test'),
        withCode('EAI_AGAIN', /expected 200 with/),
      );
    }
  });

  test('asks unbound', needs('unbound', 'openssl'), async (t) => {
    await using workspace = await Workspace.open();
    const port = await freePort();
    const [pem, key] = [
      await workspace.file('cert.pem', testPem('server')),
      await workspace.file('key.pem', testPem('server-key')),
    ];
    const config = await workspace.file(
      'unbound.conf',
      `server:
        interface: 127.0.0.1@${port}
        tls-port: ${port}
        tls-service-pem: "${pem}"
        tls-service-key: "${key}"
        do-daemonize: no
        do-not-query-localhost: no
        use-syslog: no
        username: ""
        chroot: ""
        directory: "${workspace.dir}"
        pidfile: "${workspace.path('pid')}"
        module-config: "iterator"
        local-zone: "test." static
        local-data: "registry.test. 60 IN A 192.0.2.1"
        local-data: "registry.test. 60 IN AAAA 2001:db8::1"
      remote-control:
        control-enable: no
      `,
    );
    await workspace.start(['unbound', '-c', config, '-d', '-p'], {
      ready: async () =>
        (await check(['openssl', 's_client', '-connect', `127.0.0.1:${port}`, '-verify_quiet'], { input: '' })) !== '',
    });
    for (const firstFragmentLen of [0, 3]) {
      const resolver = open(t, { servers: [`tls://127.0.0.1:${port}#dns.registry.test`], firstFragmentLen });
      assert.deepEqual(await addresses(resolver, 'registry.test'), ['192.0.2.1', '2001:db8::1']);
      await assert.rejects(addresses(resolver, 'absent.test'), withCode('ENOTFOUND'));
    }
  });
});

describe('createResolver() tells who answered', () => {
  test('and what kept others from it', async (t) => {
    const dumb = await start(t, 'dot', () => ({ rcode: 2 }));
    const clever = await start(t, 'doh', zone(NAMES));
    const telemetry = new Telemetry();
    const heard: object[] = [];
    telemetry.on('dns.answered', (event) => heard.push(event));
    const hosts = { 'fixed.test': ['192.0.2.1'] };
    const resolver = open(t, { servers: [dumb.address, clever.address], hosts, fallback: 'system', telemetry });
    await addresses(resolver, 'four.test', 4);
    await addresses(resolver, 'four.test', 4);
    await addresses(resolver, 'fixed.test');
    await addresses(resolver, 'unknown.test', 4);
    const by = new URL(clever.address);
    assert.deepEqual(heard, [
      { host: 'four.test', by: by.href, trouble: `tls://127.0.0.1:${dumb.port} answered SERVFAIL` },
      { host: 'fixed.test', by: 'hosts' },
      { host: 'unknown.test', by: by.href, trouble: `tls://127.0.0.1:${dumb.port} answered SERVFAIL` },
      { host: 'unknown.test', by: 'system', trouble: undefined },
    ]);
  });
});
