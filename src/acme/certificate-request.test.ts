import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { test } from 'node:test';
import { certificateRequest } from './certificate-request.ts';

test('OpenSSL reads the request, its names and its signature', () => {
  const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const many = Array.from({ length: 100 }, (_, at) => `name-${at}.mirror.example.com`);
  for (const domains of [['mirror.example.com'], many]) {
    const input = certificateRequest(privateKey, domains);
    const args = ['req', '-inform', 'DER', '-noout', '-text', '-verify'];
    const text = execFileSync('openssl', args, { input, encoding: 'utf8', stdio: 'pipe' });
    const names = [...text.matchAll(/DNS:([^,\s]+)/g)].map(([, name]) => name);
    assert.deepEqual(names, domains);
    assert.match(text, /Subject: *\n/);
    assert.match(text, /ecdsa-with-SHA256/);
  }
});
