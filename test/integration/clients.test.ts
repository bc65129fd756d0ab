import assert from 'node:assert/strict';
import { request } from 'node:http';
import { describe, test } from 'node:test';
import { startMirror } from '../support/mirror.ts';
import { Workspace } from '../support/processes.ts';

const FORWARDED = {
  'x-forwarded-for': '198.51.100.1, 192.0.2.7',
  'x-forwarded-proto': 'https',
  'x-forwarded-host': 'mirror.example.com',
};

describe('who a client is', { timeout: 60_000 }, () => {
  test('no proxy is believed unless it is trusted', async () => {
    await using mirror = await startMirror();
    const { body } = await mirror.get('/help', FORWARDED);
    assert.equal(JSON.parse(body.toString()).url, mirror.url);
    const line = await mirror.logged(({ msg, path }) => msg === 'request' && path === '/help');
    assert.equal(line['client'], '127.0.0.1');
  });

  test('a trusted server says who asks, and under which name', async () => {
    await using mirror = await startMirror({ trusted_proxies: ['127.0.0.0/8'], domain_suffix: 'mirror.example.com' });
    const { body } = await mirror.get('/help', FORWARDED);
    assert.equal(JSON.parse(body.toString()).url, 'https://mirror.example.com');
    const line = await mirror.logged(({ msg, path }) => msg === 'request' && path === '/help');
    assert.equal(line['client'], '192.0.2.7');

    await mirror.get('/v2/', { ...FORWARDED, 'x-forwarded-host': 'ghcr.mirror.example.com' });
    const named = await mirror.logged(({ msg, path }) => msg === 'request' && path === '/v2/');
    assert.equal(named['registry'], 'ghcr.io');
  });

  test('one that came by HTTPS to a trusted server is not sent to HTTPS again', async () => {
    const listen = [{ address: '127.0.0.1:0', redirect_to_https: true }];
    await using mirror = await startMirror({ listen, trusted_proxies: ['127.0.0.1'] });
    assert.equal((await mirror.get('/healthz', FORWARDED)).status, 200);
    const plain = await mirror.get('/healthz', { ...FORWARDED, 'x-forwarded-proto': 'http' });
    assert.deepEqual([plain.status, plain.headers['location']], [308, 'https://mirror.example.com/healthz']);
  });

  test('a trusted server may come by a Unix socket', async () => {
    const workspace = await Workspace.open();
    try {
      const socketPath = workspace.path('m.sock');
      await using mirror = await startMirror({
        listen: ['127.0.0.1:0', `unix:${socketPath}`],
        trusted_proxies: ['unix'],
      });
      await new Promise<void>((resolve, reject) => {
        request({ socketPath, path: '/help', headers: { ...FORWARDED, host: 'inner' } }, (response) => {
          response.resume().once('end', resolve);
        })
          .once('error', reject)
          .end();
      });
      const line = await mirror.logged(({ msg, path }) => msg === 'request' && path === '/help');
      assert.equal(line['client'], '192.0.2.7');
    } finally {
      await workspace.close();
    }
  });

  test('a client behind a trusted server of the same machine is no local one to the forward proxy', async () => {
    await using mirror = await startMirror({
      trusted_proxies: ['127.0.0.1'],
      forward_proxy: { enabled: true, allowed_hosts: ['example.invalid'] },
    });
    const { status } = await mirror.get('http://example.invalid/', FORWARDED);
    assert.equal(status, 403);
    const line = await mirror.logged(({ msg, route }) => msg === 'request' && route === 'forward');
    assert.match(String(line['error']), /own machine only/);
    assert.equal((await mirror.get('http://example.invalid/')).status, 502);
  });
});
