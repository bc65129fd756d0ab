import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { describeClients } from './hints.ts';

const listener = { address: '127.0.0.1:5000', protocol: 'http', port: 5000, redirectToHttps: false } as const;

describe('describeClients()', () => {
  test('names the address that clients on this machine can reach', () => {
    const everywhere = describeClients([{ ...listener, address: '[::]:5000' }], undefined);
    assert.match(everywhere?.examples['docker'] ?? '', /docker pull 127\.0\.0\.1:5000\/ghcr\.io/);
    assert.equal(everywhere?.help, 'http://127.0.0.1:5000/help');
  });

  test('leads to files that the clients read', () => {
    const { examples } = describeClients([listener], undefined) ?? assert.fail();
    assert.match(examples['containerd'] ?? '', /config_path/);
    assert.equal(examples['k3s'], 'registries.yaml: mirrors: {"*": {endpoint: ["http://127.0.0.1:5000"]}}');
  });

  test('prefers the public URL, and asks for no insecure flag where it is https', () => {
    const hints = describeClients([listener], 'https://mirror.example.com/');
    assert.match(hints?.text ?? '', /location = "mirror\.example\.com\/ghcr\.io"\n/);
    assert.doesNotMatch(hints?.text ?? '', /insecure|tls-verify/);
  });

  test('passes over a listener that only redirects, and knows nothing to say of Unix sockets', () => {
    const redirecting = { ...listener, address: '127.0.0.1:80', port: 80, redirectToHttps: true };
    assert.equal(describeClients([redirecting, listener], undefined)?.help, 'http://127.0.0.1:5000/help');
    assert.equal(
      describeClients([{ ...listener, address: 'unix:/run/e.sock', port: undefined }], undefined),
      undefined,
    );
  });
});
