import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Mirror, startMirror } from '../support/mirror.ts';

// Which addresses lead to the page of the console, and for whom.

const BROWSER = { accept: 'text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8' };

async function statusOf(mirror: Mirror, path: string, headers: Readonly<Record<string, string>> = {}) {
  const { status, headers: answered } = await mirror.get(path, headers);
  return { status, location: answered['location'], type: answered['content-type'] };
}

describe('without rules', () => {
  let mirror: Mirror;
  before(async () => {
    mirror = await startMirror();
  });
  after(() => mirror?.stop());

  test('/ leads a browser on this machine to the page', async () => {
    const { status, location } = await statusOf(mirror, '/', BROWSER);
    assert.deepEqual([status, location], [302, '/ui/']);
  });

  for (const [who, headers] of [
    ['a program', {}],
    ['a browser behind a server in front', { ...BROWSER, 'x-forwarded-for': '10.0.0.1' }],
    ['a browser that names another host', { ...BROWSER, host: 'mirror.example.com' }],
  ] as const) {
    test(`/ is the help for ${who}`, async () => {
      const { status, location } = await statusOf(mirror, '/', headers);
      assert.deepEqual([status, location], [200, undefined]);
    });
  }

  test('/help stays the help', async () => {
    assert.equal((await statusOf(mirror, '/help', BROWSER)).type, 'text/html; charset=utf-8');
    assert.equal((await statusOf(mirror, '/help')).type, 'application/json');
  });

  test('the page is whole: what it names is there', async () => {
    const { body } = await mirror.get('/ui/');
    const text = body.toString();
    const names = [...text.matchAll(/(?:src|href)="(\/ui\/[^"]+)"/g)].map(([, path]) => path as string);
    assert.equal(names.length, 3, text);
    for (const name of names) assert.equal((await statusOf(mirror, name)).status, 200, name);
    assert.doesNotMatch(text, /<script>|<style|style=|https?:/);
  });

  test('a path of the page is the page, and another near it is not', async () => {
    assert.equal((await statusOf(mirror, '/ui/images/docker.io/library/nginx:latest')).status, 200);
    assert.equal((await statusOf(mirror, '/uix')).status, 404);
  });

  test('the page takes no change', async () => {
    const { status } = await mirror.head('/ui/');
    assert.equal(status, 200);
    const response = await fetch(`${mirror.url}/ui/`, { method: 'POST', body: 'x' });
    assert.equal(response.status, 405);
    await response.body?.cancel();
  });
});

test('with rules, / leads every browser to the page, which asks for the login', async () => {
  await using mirror = await startMirror({
    access: { rules: [{ who: 'anonymous', may: ['pull'], on: ['**'] }] },
  });
  const { status, location } = await statusOf(mirror, '/', { ...BROWSER, host: 'mirror.example.com' });
  assert.deepEqual([status, location], [302, '/ui/']);
});

test('without the page, / is the help and /ui is not there', async () => {
  await using mirror = await startMirror({ admin: { enabled: false } });
  assert.equal((await statusOf(mirror, '/', BROWSER)).status, 200);
  assert.equal((await statusOf(mirror, '/ui/')).status, 404);
});

test('where the administration has a listener of its own, the others have no page', async () => {
  await using mirror = await startMirror({ admin: { listen: '127.0.0.1:0' } });
  assert.equal((await statusOf(mirror, '/', BROWSER)).status, 200);
  assert.equal((await statusOf(mirror, '/ui/')).status, 404);
});
