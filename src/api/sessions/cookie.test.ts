import assert from 'node:assert/strict';
import { test } from 'node:test';
import { readSessionId, writeSessionId } from './cookie.ts';

const ID = 'a'.repeat(43);
const http = (host: string | undefined) => ({ host, scheme: 'http' }) as const;
const https = (host: string | undefined) => ({ host, scheme: 'https' }) as const;

test('a cookie is for one port, and is read as it was written', () => {
  for (const asked of [
    http('localhost:5000'),
    http('localhost'),
    http('[::1]:81'),
    https('m.example.com'),
    https('m:8443'),
  ]) {
    const [pair = ''] = writeSessionId(asked, ID).split(';');
    assert.equal(readSessionId(asked, `x=1; ${pair}; y=2`), ID);
    assert.equal(readSessionId(http('localhost:7'), pair), undefined);
  }
});

test('a cookie is read from its own scheme alone', () => {
  const [plain = ''] = writeSessionId(http('m:443'), ID).split(';');
  assert.equal(readSessionId(https('m:443'), plain), undefined);
  assert.match(writeSessionId(https('m'), ID), /^__Secure-entrepot-443=.*; Secure$/);
  assert.doesNotMatch(writeSessionId(http('m'), ID), /Secure/);
});

test('a cookie that is given twice, malformed or too long is none', () => {
  const asked = http('localhost:5000');
  for (const header of [
    undefined,
    '',
    'entrepot-5000=',
    `entrepot-5000=${ID}x`,
    `entrepot-5000=${ID.slice(1)}`,
    `entrepot-5000=${ID}; entrepot-5000=${'b'.repeat(43)}`,
    `Entrepot-5000=${ID}`,
    `entrepot-5000=${ID}${' '.repeat(20_000)}`,
    `entrepot-5000="${ID}"`,
  ]) {
    assert.equal(readSessionId(asked, header), undefined, String(header).slice(0, 80));
  }
});
