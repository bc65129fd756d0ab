import assert from 'node:assert/strict';
import { readFile, writeFile } from 'node:fs/promises';
import { after, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import type { OPERATIONS } from '../../src/admin/index.ts';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { needsBrowser, openBrowser } from '../support/browser.ts';
import { ConsolePage, eventually } from '../support/console-page.ts';
import { requestOf } from '../support/console-stage.ts';
import { preparePodman } from '../support/engines.ts';
import { buildImage, platformOf } from '../support/image.ts';
import { check, freePort, needs, Workspace } from '../support/processes.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// The views of registries, clients and the configuration: what they say is so, and what is copied from them works.

type Configuration = Awaited<ReturnType<(typeof OPERATIONS)['configuration']['handle']>>;

describe('settings on the console', needsBrowser(), () => {
  let workspace: Workspace;
  let upstream: ScriptedUpstream;
  let entrepot: RunningEntrepot;
  let browser: Browser;
  let closedPort: number;
  const image = buildImage({ seed: 'console settings', layers: [2000] });
  before(async () => {
    workspace = await Workspace.open();
    upstream = await startScriptedUpstream();
    workspace.defer(() => upstream.stop());
    upstream.add(image, 'team/app', ['1']);
    closedPort = await freePort();
    entrepot = await startEntrepot(workspace, {
      registries: {
        'docker.io': { upstreams: [upstream.url] },
        'quay.io': { upstreams: [`http://127.0.0.1:${closedPort}`] },
      },
      mirrors: [{ name: 'pypi', prefix: '/pypi', upstream: upstream.url }],
    });
    browser = await openBrowser();
    workspace.defer(() => browser.close());
  });
  after(() => workspace?.close());

  test('a check of a registry shows its steps', async () => {
    await using opened = await ConsolePage.open(browser, entrepot, { place: 'registries' });
    const card = opened.page.getByRole('region', { name: 'docker.io' });
    await card.getByRole('button', { name: /^Check .* now$/ }).click();
    await card.getByText('Reachable', { exact: true }).waitFor();
    for (const step of ['Connection', 'Answer']) {
      await card.getByRole('listitem').filter({ hasText: step }).getByText('OK', { exact: true }).waitFor();
    }
    const down = opened.page.getByRole('region', { name: 'quay.io' });
    await down.getByRole('button', { name: /^Check .* now$/ }).click();
    await down.getByText('Not reachable', { exact: true }).waitFor();
    // With a remedy.
    const failed = down.getByRole('listitem').filter({ hasText: 'Failed' });
    await failed
      .getByText(/ECONNREFUSED|refused/)
      .first()
      .waitFor();
    assert.notEqual(await failed.locator('.step-remedy').textContent(), '');
  });

  test('a mirror route that was asked is not shown as one that was not', async () => {
    await using opened = await ConsolePage.open(browser, entrepot, { place: 'registries' });
    const route = opened.page.getByRole('region', { name: 'pypi' });
    await route.getByText('Not asked yet').waitFor();
    await (await fetch(`${entrepot.url}/pypi/simple/app`)).arrayBuffer();
    await opened.goto('registries');
    await route.getByText('Asked', { exact: true }).waitFor();
    assert.equal(await route.getByText('Not asked yet').count(), 0);
  });

  test('an upstream that is down is shown unwell, with the reason, there and in Now, while the page is open', async () => {
    await using opened = await ConsolePage.open(browser, entrepot, { place: 'registries' });
    const row = opened.page.getByRole('region', { name: 'quay.io' });
    await row.getByText('Not asked yet').waitFor();
    assert.ok((await requestOf(entrepot, 'quay.io/team/app/manifests/1')).status >= 500);
    await row.getByText(/^(Given a rest|Next request tries it)/).waitFor();
    await row
      .getByText(`127.0.0.1:${closedPort} cannot be reached (connect ECONNREFUSED 127.0.0.1:${closedPort})`)
      .waitFor();
    await opened.enter('Now');
    const unwell = opened.section('Upstreams to look at');
    await unwell.getByText('quay.io').waitFor();
    await unwell.getByText(/ECONNREFUSED/).waitFor();
  });

  test('what Clients gives to copy is copied', async () => {
    await using opened = await ConsolePage.open(browser, entrepot, { place: 'clients' });
    await opened.context.grantPermissions(['clipboard-read', 'clipboard-write']);
    await opened.page.getByRole('link', { name: 'podman' }).click();
    const [file] = await snippets(opened);
    await opened.button(/^Copy .*50-entrepot\.conf$/).click();
    await opened.page.getByText('Copied').first().waitFor();
    assert.equal(await opened.page.evaluate('navigator.clipboard.readText()'), file);
  });

  test('its file sends the pulls of skopeo here', needs('skopeo'), async () => {
    await using opened = await ConsolePage.open(browser, entrepot, { place: 'clients/podman' });
    const [file = ''] = await snippets(opened);
    const conf = await workspace.file('copied.conf', file);
    const config = ['--registries-conf', conf];
    const before_ = entrepot.accessLog().length;
    const manifest = await check(['skopeo', ...config, 'inspect', '--raw', 'docker://docker.io/team/app:1']);
    assert.equal(manifest, image.index.bytes.toString());
    assert.ok(entrepot.accessLog().length > before_);
    await opened.page.getByRole('link', { name: 'skopeo' }).click();
    const command = (await opened.page.locator('.card pre').last().textContent()) ?? '';
    await check(command.replace('ghcr.io/OWNER/IMAGE:TAG', 'docker.io/team/app:1').split(' '));
  });

  test('its file sends the pulls of podman here', needs('podman', 'root'), async () => {
    await using opened = await ConsolePage.open(browser, entrepot, { place: 'clients/podman' });
    const [file = ''] = await snippets(opened);
    const engine = await preparePodman(workspace, file);
    const id = await engine.podman('pull', '--quiet', 'docker.io/team/app:1');
    const { config } = platformOf(image, process.arch === 'arm64' ? 'arm64' : 'amd64');
    assert.equal(`sha256:${id.trim()}`, config.digest);
  });

  test('the configuration has origins and problems; a reload changes it, and a refused one says where it fails', async () => {
    await using opened = await ConsolePage.open(browser, entrepot, { place: 'configuration' });
    const { page } = opened;
    const { source } = await opened.read<Configuration>('configuration');
    await page.getByText(`From ${source}`).waitFor();
    const whole = JSON.parse(await readFile(source, 'utf8')) as Record<string, object>;
    const write = (text: string): Promise<void> => writeFile(source, text);
    const option = async (name: string): Promise<string> => {
      await page.getByLabel('Filter options').fill(name);
      return (await opened.row(name).innerText()).replaceAll('\n', ' ');
    };
    const quoted = JSON.stringify(upstream.url);
    const lines = (await readFile(source, 'utf8')).split('\n');
    const place = `${source}:${lines.findIndex((line) => line.includes(quoted)) + 1}`;
    assert.ok((await option('registries["docker.io"].upstreams')).includes(upstream.url));
    await opened.row('registries["docker.io"].upstreams').locator(`strong[title^='${place}']`).waitFor();
    assert.match(await option('cache.tags.fresh_for'), /10m .*default/);

    await write(JSON.stringify({ ...whole, cache: { ...whole['cache'], tags: { fresh_for: '7m' } } }, null, 2));
    await opened.button('Reload').click();
    await page.getByText('The new configuration is in effect.').waitFor();
    // The options are read again beside the message.
    await eventually(async () => assert.match(await option('cache.tags.fresh_for'), /7m/));
    assert.match((await opened.read<Configuration>('configuration')).yaml, /fresh_for: 7m/);

    // What works, with a mistake in its third line.
    const refused = JSON.stringify({ ...whole, lisen: '127.0.0.1:0' }, null, 2);
    await write(refused);
    await opened.button('Reload').click();
    await page.getByText('The new configuration is refused. The old one stays in effect.').waitFor();
    const line = refused.split('\n').findIndex((text) => text.includes('lisen')) + 1;
    await page.getByRole('status').getByText(`${source}:${line}`).first().waitFor();
    await page.getByRole('status').getByText(/lisen/).first().waitFor();
    assert.match(await option('cache.tags.fresh_for'), /7m/);
    await write(
      JSON.stringify({
        ...whole,
        access: {
          rules: [
            { who: 'anonymous', may: ['pull'], on: ['**'] },
            { who: 'alice', may: ['status'] },
          ],
        },
      }),
    );
    await opened.button('Reload').click();
    await page.getByText('The new configuration is in effect.').waitFor();
    await page.getByRole('tab', { name: /^Problems/ }).click();
    await page.getByText(/alice/).first().waitFor();
  });

  async function snippets(opened: ConsolePage): Promise<readonly string[]> {
    await opened.page.getByRole('heading', { level: 2, name: 'podman' }).waitFor();
    const file = opened.page.locator('.card div').filter({ hasText: '50-entrepot.conf' }).locator('pre');
    return file.allTextContents();
  }
});
