import assert from 'node:assert/strict';
import { describe, type TestContext, test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { startDotServer, zone } from '../support/dns-servers.ts';
import { buildImage, type Content, platformOf } from '../support/image.ts';
import { startMiddlebox, type WireRecord } from '../support/middlebox.ts';
import { startMirror } from '../support/mirror.ts';
import { type OutboundProxyScript, startOutboundProxy } from '../support/outbound-proxies.ts';
import { testPem } from '../support/raw-server.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';

// Networks that lie about names, cut handshakes and let no connection out but through an outbound proxy, before the whole server.

const CA = fileURLToPath(new URL('../support/tls/ca.pem', import.meta.url));
const REPOSITORY = 'team/app';
const image = buildImage({ seed: 'transport' });
const amd64 = platformOf(image, 'amd64');
const layer = amd64.layers[1] as Content;

/** A registry that only speaks TLS, called registry.test, behind a middlebox; name servers say where that is. */
async function scene(t: TestContext, judge: (hello: readonly WireRecord[]) => 'reset' | 'pass' = () => 'pass') {
  const upstream = await startScriptedUpstream({ tls: { key: testPem('server-key'), cert: testPem('server') } });
  t.after(() => upstream[Symbol.asyncDispose]());
  upstream.add(image, REPOSITORY, ['latest']);
  const middlebox = await startMiddlebox(Number(new URL(upstream.url).port), judge);
  t.after(() => middlebox.close());
  const names = await startDotServer(zone({ 'registry.test': ['127.0.0.1'] }));
  t.after(() => names.close());
  const url = `https://registry.test:${middlebox.port}`;
  const dns = { servers: [names.address], fallback: 'none' };
  return { upstream, middlebox, names, url, dns };
}

describe('a registry whose name the network lies about, and whose handshake it cuts', () => {
  const judged: readonly (readonly [string, number, number[]])[] = [
    ['longer than 3 bytes', 3, [3]],
    ['longer than 1 byte', 1, [3, 1]],
  ];
  for (const [what, longest, lengths] of judged) {
    test(`is reached where first records ${what} are reset`, async (t) => {
      const { middlebox, names, url, dns } = await scene(t, ([first]) =>
        (first?.payload.length ?? 0) > longest ? 'reset' : 'pass',
      );
      const transport = { ca_file: CA, first_fragment_len: 3, allow_plain_fallback: false, dns };
      await using mirror = await startMirror({ registries: { up: { upstreams: [url] } }, transport });
      const manifest = await mirror.get(`/up/v2/${REPOSITORY}/manifests/latest`);
      assert.equal(manifest.status, 200, manifest.body.toString());
      const blob = await mirror.get(`/up/v2/${REPOSITORY}/blobs/${layer.digest}`);
      assert.ok(blob.body.equals(layer.bytes));
      const first = middlebox.passages.map(({ hello }) => hello[0]?.payload.length);
      assert.deepEqual(first.slice(0, lengths.length), lengths);
      assert.ok(names.questions.some(({ name }) => name === 'registry.test'));
      const steps = mirror.log.filter(({ msg }) => msg === 'transport.fallback');
      const metrics = (await mirror.get('/metrics')).body.toString();
      if (lengths.length === 1) {
        assert.deepEqual(steps, []);
      } else {
        assert.deepEqual([steps[0]?.['host'], steps[0]?.['from'], steps[0]?.['to']], ['registry.test', 3, 1]);
        assert.match(metrics, /^entrepot_tls_fallback_total\{from="3",to="1",reason="reset"\} 1$/m);
      }
    });
  }

  test('is not reached where every ClientHello is cut and none may be sent whole', async (t) => {
    const { middlebox, url, dns } = await scene(t, () => 'reset');
    const transport = { ca_file: CA, first_fragment_len: 3, allow_plain_fallback: false, dns };
    await using mirror = await startMirror({ registries: { up: { upstreams: [url] } }, transport });
    const { status } = await mirror.get(`/up/v2/${REPOSITORY}/manifests/latest`);
    assert.ok(status >= 500, `${status}`);
    assert.ok(middlebox.passages.every(({ hello }) => hello.length === 2));
  });

  test('may have a way of its own', async (t) => {
    const { middlebox, url, dns } = await scene(t);
    const transport = { ca_file: CA, first_fragment_len: 3, dns };
    const own = { url, transport: { first_fragment_len: 0 } };
    await using mirror = await startMirror({ registries: { up: { upstreams: [own] } }, transport });
    assert.equal((await mirror.get(`/up/v2/${REPOSITORY}/manifests/latest`)).status, 200);
    assert.ok(middlebox.passages.every(({ hello }) => hello.length === 1));
  });
});

describe('a registry behind an outbound proxy', () => {
  for (const kind of ['http', 'https', 'socks5'] as const) {
    test(`of kind ${kind} is pulled from, and the password is told to no other host`, async (t) => {
      const { middlebox, url, upstream } = await scene(t);
      const script: OutboundProxyScript = { kind, credential: 'robot:canary-of-the-way', to: middlebox.port };
      const proxy = await startOutboundProxy(script);
      t.after(() => proxy.close());
      const address = `${kind}://robot:canary-of-the-way@localhost:${proxy.port}`;
      const own = { url, transport: { outbound_proxy: address, first_fragment_len: 3 } };
      await using mirror = await startMirror({ registries: { up: { upstreams: [own] } }, transport: { ca_file: CA } });
      assert.equal((await mirror.get(`/up/v2/${REPOSITORY}/manifests/latest`)).status, 200);
      const blob = await mirror.get(`/up/v2/${REPOSITORY}/blobs/${layer.digest}`);
      assert.ok(blob.body.equals(layer.bytes));
      assert.ok(proxy.asked.every((asked) => asked === new URL(url).host));
      assert.equal(middlebox.passages[0]?.hello[0]?.payload.length, 3);
      await proxy.close();
      const failed = await mirror.get(`/up/v2/${REPOSITORY}/blobs/${amd64.config.digest}`);
      const said = `${JSON.stringify(mirror.log)}${failed.body.toString()}${JSON.stringify(upstream.requests.map(({ headers }) => headers))}`;
      assert.doesNotMatch(said, /canary-of-the-way|Y2FuYXJ5/);
    });
  }

  test('is found through the environment, unless no_proxy holds it', async (t) => {
    const { middlebox, url, dns } = await scene(t);
    const proxy = await startOutboundProxy({ kind: 'http', to: middlebox.port });
    t.after(() => proxy.close());
    const before = process.env;
    t.after(() => {
      process.env = before;
    });
    for (const [noProxy, asked] of [
      ['', 1],
      ['.test', 0],
    ] as const) {
      process.env = { ...before, https_proxy: `http://127.0.0.1:${proxy.port}`, no_proxy: noProxy };
      const already = proxy.asked.length;
      await using mirror = await startMirror({
        registries: { up: { upstreams: [url] } },
        transport: { ca_file: CA, dns },
      });
      assert.equal((await mirror.get(`/up/v2/${REPOSITORY}/manifests/latest`)).status, 200);
      assert.equal(proxy.asked.length - already >= asked, true);
      if (asked === 0) assert.equal(proxy.asked.length, already);
    }
  });
});
