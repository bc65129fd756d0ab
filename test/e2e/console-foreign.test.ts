import assert from 'node:assert/strict';
import { once } from 'node:events';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { OPERATIONS } from '../../src/admin/index.ts';
import { operate } from '../support/api-stage.ts';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { needsBrowser, openBrowser } from '../support/browser.ts';
import { ConsolePage } from '../support/console-page.ts';
import { pullImage } from '../support/console-stage.ts';
import { buildImage } from '../support/image.ts';
import { Workspace } from '../support/processes.ts';
import { startScriptedUpstream } from '../support/scripted-upstream.ts';

// A browser in which an operator is logged in opens pages of others. They read nothing and change nothing.

const IMAGE = 'docker.io/library/app:latest';
/** Each would change something that `stateOf` sees, or the server altogether. */
const CHANGES = [
  ['purge', { patterns: ['docker.io/**'], dryRun: false }],
  ['pin', { image: IMAGE }],
  ['rollback', { image: IMAGE }],
  ['warm', { images: ['docker.io/library/other:latest'] }],
  ['reload', {}],
] as const;

/** What a page of another tries from where it stands. Gives all that it could read. */
const ATTACK = `async (base, changes) => {
  const loot = [];
  const get = async (path, init) => {
    try {
      const response = await fetch(base + path, init);
      if (response.type !== 'opaque' && response.ok) loot.push(path + ' ' + (await response.text()).slice(0, 80));
    } catch {}
  };
  for (const path of ['overview', 'session', 'configuration', 'repositories']) {
    await get('/api/v1/' + path, { credentials: 'include' });
    await get('/api/v1/' + path, { credentials: 'include', mode: 'no-cors' });
    await get('/api/v1/' + path, { headers: { 'x-entrepot-active': '1' }, credentials: 'include' });
  }
  for (const [path, input] of changes) {
    const body = JSON.stringify(input);
    await get('/api/v1/' + path, { method: 'POST', body, credentials: 'include', mode: 'no-cors' });
    await get('/api/v1/' + path, { method: 'POST', body, credentials: 'include', headers: { 'content-type': 'application/json' } });
    await get('/api/v1/' + path, { method: 'POST', body, credentials: 'include', headers: { 'content-type': 'application/json', 'x-entrepot-token': 'x' } });
    navigator.sendBeacon(base + '/api/v1/' + path, new Blob([body], { type: 'text/plain' }));
    // A form can send JSON, of a kind: the name of its field holds all but the end.
    const target = document.createElement('iframe');
    target.name = 'into-' + path;
    document.body.append(target);
    const form = document.createElement('form');
    Object.assign(form, { method: 'POST', action: base + '/api/v1/' + path, enctype: 'text/plain', target: target.name });
    const field = document.createElement('input');
    field.name = body.slice(0, -1) + ',"x":"';
    field.value = '"}';
    form.append(field);
    document.body.append(form);
    const loaded = new Promise((resolve) => target.addEventListener('load', resolve, { once: true }));
    form.submit();
    await Promise.race([loaded, new Promise((resolve) => setTimeout(resolve, 2000))]);
    try {
      const text = target.contentDocument?.body?.innerText ?? '';
      if (text !== '' && !text.includes('"status"')) loot.push('form ' + path + ' ' + text.slice(0, 80));
    } catch {}
  }
  await new Promise((resolve) => {
    const image = new Image();
    image.onload = () => { loot.push('image'); resolve(); };
    image.onerror = () => resolve();
    image.src = base + '/api/v1/overview';
  });
  await new Promise((resolve) => {
    const frame = document.createElement('iframe');
    frame.src = base + '/ui/';
    frame.onload = () => {
      try { if (frame.contentDocument?.querySelector('nav') != null) loot.push('frame'); } catch {}
      resolve();
    };
    document.body.append(frame);
  });
  await new Promise((resolve) => {
    const source = new EventSource(base + '/api/v1/events', { withCredentials: true });
    source.onopen = () => { loot.push('events'); resolve(); };
    source.onerror = () => { source.close(); resolve(); };
  });
  const opened = open(base + '/ui/');
  // The page without its data is for every client; its navigation stands there once it has some.
  await new Promise((resolve) => setTimeout(resolve, 1000));
  try { if (opened?.document?.querySelector('nav') != null) loot.push('window'); } catch {}
  opened?.close();
  return loot;
}`;

describe('pages of others in the browser of an operator', needsBrowser(), () => {
  let workspace: Workspace;
  let entrepot: RunningEntrepot;
  let browser: Browser;
  let port: number;
  /** Of a server that answers itself first, and passes everything else to entrepot. */
  let rebound: number;
  const image = buildImage({ seed: 'foreign pages', architectures: ['amd64'], layers: [500] });
  before(async () => {
    workspace = await Workspace.open();
    const upstream = await startScriptedUpstream();
    workspace.defer(() => upstream.stop());
    for (const name of ['library/app', 'library/other']) upstream.add(image, name, ['latest']);
    entrepot = await startEntrepot(workspace, { registries: { 'docker.io': { upstreams: [upstream.url] } } });
    await pullImage(entrepot, { name: 'docker.io/library/app', image });
    const site = createServer((_, response) => {
      response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>prizes</title><body>');
    }).listen(0, '127.0.0.1');
    await once(site, 'listening');
    workspace.defer(async () => {
      site.closeAllConnections();
      site.close();
    });
    ({ port } = site.address() as AddressInfo);
    const relay = createServer((asked, response) => {
      const { url = '', method, headers } = asked;
      if (url === '/prizes') {
        response.writeHead(200, { 'content-type': 'text/html' }).end('<!doctype html><title>prizes</title><body>');
        return;
      }
      const passed = request({ host: '127.0.0.1', port: entrepot.port, path: url, method, headers }, (answer) => {
        response.writeHead(answer.statusCode ?? 502, answer.headers);
        answer.pipe(response);
      });
      passed.on('error', () => response.destroy());
      asked.pipe(passed);
    }).listen(0, '127.0.0.1');
    await once(relay, 'listening');
    workspace.defer(async () => {
      relay.closeAllConnections();
      relay.close();
    });
    rebound = (relay.address() as AddressInfo).port;
    browser = await openBrowser({ hosts: ['evil.test', 'rebound.test'] });
    workspace.defer(() => browser.close());
  });
  after(() => workspace?.close());

  /** What changes would change. */
  async function stateOf(): Promise<unknown> {
    const { repositories } = await operate(entrepot, OPERATIONS.repositories);
    const { entry, hold } = await operate(entrepot, OPERATIONS.image, { image: IMAGE });
    const { jobs } = await operate(entrepot, OPERATIONS.warmJobs);
    const reloads = entrepot.logs().filter(({ msg }) => msg === 'config.reloaded' || /reload/.test(msg)).length;
    return { repositories: repositories.map(({ repository }) => repository), entry, hold, jobs, reloads };
  }

  /** Runs the attack in a page, and asserts that it got nothing and did nothing. */
  async function assertHarmless(page: Page, base: string): Promise<void> {
    const answers: string[] = [];
    page.on('response', (response) => {
      const { pathname, host } = new URL(response.url());
      const isOfApi = host === new URL(base).host && pathname.startsWith('/api/');
      if (isOfApi && response.ok() && response.request().resourceType() !== 'document') answers.push(response.url());
    });
    const state = await stateOf();
    const loot = await page.evaluate(`(${ATTACK})(${JSON.stringify(base)}, ${JSON.stringify(CHANGES)})`);
    assert.deepEqual({ loot, answers }, { loot: [], answers: [] });
    assert.deepEqual(await stateOf(), state);
  }

  test('the attack itself works: the page of the server does all of it, with its token', async () => {
    await using opened = await ConsolePage.open(browser, entrepot);
    const { token } = await opened.read<{ token: string }>('session');
    const status = await opened.page.evaluate(
      `fetch('/api/v1/unpin', { method: 'POST', body: ${JSON.stringify(JSON.stringify({ image: IMAGE }))}, headers: { 'content-type': 'application/json', 'x-entrepot-token': '${token}' } }).then((response) => response.status)`,
    );
    assert.equal(status, 200);
  });

  for (const [name, urlOf] of [
    ['another port of the same host', () => `http://127.0.0.1:${port}/`],
    ['another host', () => `http://evil.test:${port}/`],
  ] as const) {
    test(`a page on ${name} reads nothing and changes nothing`, async () => {
      await using opened = await ConsolePage.open(browser, entrepot);
      const page = await opened.context.newPage();
      opened.allowStrangers();
      await page.goto(urlOf());
      await assertHarmless(page, entrepot.url);
    });
  }

  test('a name that was made to lead here reads nothing and changes nothing', async () => {
    await using opened = await ConsolePage.open(browser, entrepot);
    opened.allowStrangers();
    const page = await opened.context.newPage();
    // The first answer comes from the attacker's server; then the name leads to this server, with the same port.
    const base = `http://rebound.test:${rebound}`;
    await page.goto(`${base}/prizes`);
    await assertHarmless(page, base);
    const status = await page.evaluate(`fetch('/api/v1/overview').then((response) => response.status)`);
    assert.equal(status, 421);
  });

  test('a page of the server without its token changes nothing', async () => {
    await using opened = await ConsolePage.open(browser, entrepot, { provokes: [/status of 40[13]/] });
    const state = await stateOf();
    for (const [path, input] of CHANGES) {
      for (const token of [undefined, '', 'x'.repeat(43)]) {
        const headers = {
          'content-type': 'application/json',
          ...(token !== undefined && { 'x-entrepot-token': token }),
        };
        const init = JSON.stringify({ method: 'POST', body: JSON.stringify(input), headers });
        const status = await opened.page.evaluate(
          `fetch('/api/v1/${path}', ${init}).then((response) => response.status)`,
        );
        assert.equal(status, 403, path);
      }
    }
    assert.deepEqual(await stateOf(), state);
  });

  test('a page that was opened without a code reads, and changes nothing', async () => {
    await using opened = await ConsolePage.open(browser, entrepot, { operator: false, provokes: [/status of 40[13]/] });
    const state = await stateOf();
    for (const [path, input] of CHANGES) {
      const init = JSON.stringify({
        method: 'POST',
        body: JSON.stringify(input),
        headers: { 'content-type': 'application/json', 'x-entrepot-token': 'x'.repeat(43) },
      });
      const status = await opened.page.evaluate(
        `fetch('/api/v1/${path}', ${init}).then((response) => response.status)`,
      );
      assert.equal(status, 403, path);
    }
    assert.deepEqual(await stateOf(), state);
  });
});
