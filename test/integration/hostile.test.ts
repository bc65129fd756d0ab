import assert from 'node:assert/strict';
import { test } from 'node:test';
import { answerHostilely, Chances, hostileRequest, hurl } from '../support/hostile.ts';
import { startMirror } from '../support/mirror.ts';
import { type RawServer, startRawServer } from '../support/raw-server.ts';

const REQUESTS = 1500;
const AT_ONCE = 30;

/** The same each time, so that a change fails for what it changed; `HOSTILE_SEED=…` tries others. */
const seed = Number(process.env['HOSTILE_SEED'] ?? 1);

test(`whatever clients and upstreams say, each connection ends and the server goes on (HOSTILE_SEED=${seed})`, async () => {
  const chances = new Chances(seed);
  const upstream: RawServer = await startRawServer((request) => answerHostilely(chances, request, upstream.port));
  const url = `http://127.0.0.1:${upstream.port}`;
  // Many, since one that is left alone after its failures is asked nothing.
  const names = Array.from({ length: 30 }, (_, index) => `r${index}`);
  const second = { dial_timeout: '1s', response_header_timeout: '1s', body_idle_timeout: '1s' };
  const mirror = await startMirror({
    registries: Object.fromEntries(
      names.map((name, index) => [
        name,
        { upstreams: [`${url}/${name}`], delivery: index % 5 === 0 ? 'redirect' : 'stream' },
      ]),
    ),
    domain_suffix: 'm.test',
    trusted_proxies: ['127.0.0.1'],
    mirrors: [
      { name: 'kept', prefix: '/kept', upstream: url },
      { name: 'own', prefix: '/own', upstream: url, preserve_host: true, cache: 'off' },
    ],
    forward_proxy: { enabled: true, allowed_hosts: ['registry.test'], ports: [80, upstream.port] },
    transport: { ...second, dns: { hosts: { 'registry.test': '127.0.0.1' } } },
    timeouts: {
      read_header_timeout: '1s',
      read_timeout: '5s',
      idle_timeout: '1s',
      client_stall_timeout: '3s',
      shutdown_timeout: '5s',
    },
  });
  try {
    const port = Number(new URL(mirror.url).port);
    let left = REQUESTS;
    const client = async (): Promise<void> => {
      while (left-- > 0) await hurl(port, hostileRequest(chances), { leave: chances.is(0.1), within: 30_000 });
    };
    await Promise.all(Array.from({ length: AT_ONCE }, client));
    const own = mirror.log.filter(({ msg }) => msg.startsWith('Cannot answer') || msg.includes('where it should not'));
    assert.deepEqual(own, [], 'what is wrong with a request or an answer is no failure of ours');
    assert.equal((await mirror.get('/healthz')).status, 200);
  } finally {
    await mirror.stop();
    await upstream.close();
  }
});
