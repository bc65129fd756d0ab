import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import type { ServerAddress } from './client.ts';
import { CLIENTS } from './clients.ts';
import { clientSetups } from './setups.ts';

const server: ServerAddress = { host: 'm.example:5000', url: 'http://m.example:5000', defaultRegistry: 'docker.io' };

function textOf(client: string, more: Partial<ServerAddress> = {}): string {
  return clientSetups({ ...server, ...more }).find((each) => each.client === client)?.text ?? assert.fail(client);
}

describe('clientSetups()', () => {
  test('shows the forward proxy and its authority only where the server has them', () => {
    const shown = (more: Partial<ServerAddress>) => clientSetups({ ...server, ...more }).length;
    assert.equal(shown({}), 5);
    assert.equal(shown({ forward: { credential: false, mitm: false } }), 6);
    assert.equal(shown({ forward: { credential: false, mitm: true } }), CLIENTS.length);
  });

  for (const [name, forward, address] of [
    ['at the same port', { credential: false }, 'http://m.example:5000'],
    ['at a port of its own', { credential: true, port: 3128 }, 'http://USER:PASSWORD@m.example:3128'],
    ['by TLS', { credential: false, port: 3129, secure: true }, 'https://m.example:3129'],
  ] as const) {
    test(`names the forward proxy ${name}`, () => {
      const text = textOf('forward proxy', { forward: { mitm: false, ...forward } });
      assert.equal(text, `export HTTPS_PROXY=${address} HTTP_PROXY=${address}`);
    });
  }

  test('tells what to run after the file is written', () => {
    const daemon = clientSetups(server).find(({ client }) => client === 'docker daemon');
    assert.equal(daemon?.file, '/etc/docker/daemon.json');
    assert.match(daemon?.note ?? '', /Then: systemctl reload docker\.$/);
  });
});
