import assert from 'node:assert/strict';
import { existsSync } from 'node:fs';
import { after, before, beforeEach, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import type { OPERATIONS } from '../../src/admin/index.ts';
import type { Digest } from '../../src/oci/index.ts';
import { layoutOf } from '../../src/store/blobs/layout.ts';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { needsBrowser, openBrowser } from '../support/browser.ts';
import { ConsolePage, eventually } from '../support/console-page.ts';
import { skopeo, skopeoPull } from '../support/engines.ts';
import { buildImage, platformOf, type TestImage } from '../support/image.ts';
import { check, needs, Workspace } from '../support/processes.ts';
import { Gate } from '../support/scripted/faults.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// What is done with images on the page is seen in the cache: by a client, by the API, and on the disk.

type ImageAnswer = Awaited<ReturnType<(typeof OPERATIONS)['image']['handle']>>;
type Repositories = Awaited<ReturnType<(typeof OPERATIONS)['repositories']['handle']>>;

const REPOSITORY = 'docker.io/team/app';

describe('images on the console', { ...needs('skopeo'), ...needsBrowser() }, () => {
  let workspace: Workspace;
  let upstream: ScriptedUpstream;
  let entrepot: RunningEntrepot;
  let browser: Browser;
  /** Of the test that runs: another one each time. */
  let image: TestImage;
  let round = 0;
  before(async () => {
    workspace = await Workspace.open();
    upstream = await startScriptedUpstream();
    workspace.defer(() => upstream.stop());
    entrepot = await startEntrepot(workspace, { registries: { 'docker.io': { upstreams: [upstream.url] } } });
    browser = await openBrowser();
    workspace.defer(() => browser.close());
  });
  after(() => workspace?.close());

  beforeEach(() => {
    round += 1;
    image = buildImage({ seed: `console images ${round}`, layers: [40_000, 3000] });
  });

  const isStored = (digest: Digest): boolean => existsSync(layoutOf(entrepot.dir).blob(digest));
  const pull = (name: string): Promise<string> =>
    skopeoPull(workspace, { name: `${entrepot.host}/${name}`, into: 'pulled' });
  /** The digest that a client gets by a name. */
  const digestOf = async (name: string): Promise<string> =>
    (
      await check([
        'skopeo',
        'inspect',
        '--tls-verify=false',
        '--format',
        '{{.Digest}}',
        `docker://${entrepot.host}/${name}`,
      ])
    ).trim();
  const open = (place: string, provokes: readonly RegExp[] = []): Promise<ConsolePage> =>
    ConsolePage.open(browser, entrepot, { place, provokes });

  test('are found by a search, in their tree, with platforms and the command that pulls them', async () => {
    upstream.add(image, 'team/found', ['1.2', '1.10']);
    upstream.add(buildImage({ seed: 'elsewhere', layers: [100] }), 'other/thing', ['1']);
    for (const name of ['team/found:1.2', 'team/found:1.10', 'other/thing:1']) await pull(`docker.io/${name}`);
    await using opened = await open('');
    const { page } = opened;
    await opened.enter('Images');
    await opened.row('other/thing').waitFor();
    await page.getByLabel('Search repositories').fill('found');
    await opened.row('other/thing').waitFor({ state: 'detached' });
    await opened.row('team/found').getByRole('link').click();
    await page.getByLabel('Search tags').fill('10');
    await opened.row('1.2').waitFor({ state: 'detached' });
    await opened.row('1.10').getByText('Complete').waitFor();
    await opened.row('1.10').getByRole('link').click();
    assert.equal(await opened.fact('Platforms').textContent(), 'linux/amd64, linux/arm64');
    await page
      .getByRole('tabpanel')
      .getByRole('button', { name: /linux\/amd64/ })
      .click();
    const [layer] = platformOf(image, 'amd64').layers;
    await page.getByText(layer?.digest.slice(0, 19) ?? 'none').waitFor();
    // The command has the host that the reader used, and works.
    await page.getByLabel('With').selectOption('skopeo');
    const command = (await opened.section('Pull it').locator('pre').textContent()) ?? '';
    assert.equal(
      command,
      `skopeo copy --src-tls-verify=false docker://${entrepot.host}/docker.io/team/found:1.10 oci:image`,
    );
    await check(command.replace('oci:image', `oci:${workspace.path('copied')}`).split(' '));
  });

  test('are purged after what would go was shown, and are gone then', async () => {
    upstream.add(image, 'team/app', ['gone', 'kept']);
    const other = buildImage({ seed: 'kept', layers: [900] });
    upstream.add(other, 'team/app', ['kept']);
    for (const tag of ['gone', 'kept']) await pull(`${REPOSITORY}:${tag}`);
    const { digest } = image.blobs[0] as { digest: Digest };
    assert.ok(isStored(digest));
    // The page asks for the image again when it is gone.
    await using opened = await open(`images/${REPOSITORY}:gone`, [/status of 404/]);
    await opened.button('Purge…').click();
    const dialog = opened.dialog('Purge from the cache');
    await dialog.getByText(`${REPOSITORY}:gone`).waitFor();
    const button = dialog.getByRole('button', { name: /^Purge \d/ });
    // Shown, and nothing done yet; nor when the dialog is left.
    assert.ok(isStored(digest));
    await dialog.getByRole('button', { name: 'Cancel' }).click();
    assert.equal((await opened.read<ImageAnswer>(`image?image=${REPOSITORY}:gone`)).entry.complete, true);
    await opened.button('Purge…').click();
    await button.click();
    await opened.told(/^Purged: /);
    await dialog.waitFor({ state: 'detached' });
    for (const { digest: each } of image.blobs) assert.equal(isStored(each), false, each);
    for (const { digest: each } of other.blobs) assert.equal(isStored(each), true, each);
    const answer = await opened.context.request.get(`${entrepot.url}/api/v1/image?image=${REPOSITORY}:gone`);
    assert.equal(answer.status(), 404);
    upstream.forget();
    await pull(`${REPOSITORY}:gone`);
    assert.equal(upstream.blobBodies().length, new Set(image.blobs.map(({ digest: each }) => each)).size);
  });

  test('are pinned and unpinned, several at once', async () => {
    upstream.add(image, 'team/pins', ['a', 'b', 'c']);
    for (const tag of ['a', 'b', 'c']) await pull(`docker.io/team/pins:${tag}`);
    const pinned = async (opened: ConsolePage): Promise<readonly (string | undefined)[]> =>
      Promise.all(
        ['a', 'b', 'c'].map(
          async (tag) => (await opened.read<ImageAnswer>(`image?image=docker.io/team/pins:${tag}`)).entry.pinned,
        ),
      );
    await using opened = await open('images/docker.io/team/pins');
    const { page } = opened;
    for (const tag of ['a', 'b']) await page.getByLabel(`Choose ${tag}`, { exact: true }).check();
    const bar = page.getByRole('toolbar', { name: '2 chosen' });
    await bar.getByRole('button', { name: 'Pin', exact: true }).click();
    await opened.told('2 tags are pinned.');
    assert.deepEqual(await pinned(opened), ['operator', 'operator', undefined]);
    await eventually(async () => assert.equal(await page.getByText('Pinned', { exact: true }).count(), 2));
    await opened.goto('images/docker.io/team/pins:b');
    await opened.button('Unpin').click();
    await opened.told('No longer pinned.');
    assert.deepEqual(await pinned(opened), ['operator', undefined, undefined]);
  });

  test('are refreshed where a tag moved, rolled back, and released again', async () => {
    const moved = buildImage({ seed: `moved ${round}`, layers: [2000] });
    const name = 'docker.io/team/moves:1';
    upstream.add(image, 'team/moves', ['1']);
    await pull(name);
    upstream.add(moved, 'team/moves', ['1']);
    assert.equal(await digestOf(name), image.index.digest, 'it is fresh');
    await using opened = await open(`images/${name}`);
    const { page } = opened;
    await opened.button('Refresh').click();
    await opened.told('Asked: 1 moved, 0 unchanged, 0 failed.');
    assert.equal(await digestOf(name), moved.index.digest);
    await page.getByRole('tab', { name: 'History' }).click();
    const old = opened.row(image.index.digest.slice(0, 19));
    await old.getByRole('button', { name: 'Roll back…' }).click();
    const dialog = opened.dialog(`Roll ${name} back`);
    await dialog.getByLabel('Reason (optional)').fill('it was better');
    await dialog.getByRole('button', { name: 'Roll back' }).click();
    await opened.told('Rolled back.');
    await page.getByText('Reason: it was better').waitFor();
    assert.equal(await digestOf(name), image.index.digest);
    await opened.button('End the hold…').click();
    await opened.dialog('End the hold').getByRole('button', { name: 'End the hold' }).click();
    await opened.told('The hold has ended.');
    await page.getByText('Reason: it was better').waitFor({ state: 'detached' });
    await eventually(async () => assert.equal(await digestOf(name), moved.index.digest));
  });

  test('are fetched into the cache, as Now shows', async () => {
    const name = 'docker.io/team/warm:1';
    upstream.add(image, 'team/warm', ['1']);
    // A client has asked for the index alone.
    await skopeo('inspect', '--raw', '--tls-verify=false', `docker://${entrepot.host}/${name}`);
    const [layer] = platformOf(image, 'amd64').layers;
    assert.ok(layer !== undefined && !isStored(layer.digest));
    const gate = new Gate();
    upstream.fault(layer.digest, { stallAt: 1000, stallGate: gate });
    await using opened = await open(`images/${name}`);
    await opened.button('Fetch now').click();
    await opened.told(/^The image is being fetched/);
    await gate.arrived();
    await opened.enter('Now');
    const warm = opened.section('Fetching into the cache');
    await warm.waitFor();
    gate.open();
    await warm.getByText('Done').waitFor();
    for (const { digest } of image.blobs) assert.ok(isStored(digest), digest);
    assert.equal((await opened.read<ImageAnswer>(`image?image=${name}`)).entry.complete, true);
    upstream.forget();
    await pull(name);
    assert.equal(upstream.blobBodies().length, 0);
  });

  test('several repositories are purged at once', async () => {
    for (const name of ['several/one', 'several/two', 'several/three']) {
      upstream.add(image, name, ['1']);
      await pull(`docker.io/${name}:1`);
    }
    await using opened = await open('images?search=several');
    const { page } = opened;
    for (const name of ['one', 'two']) await page.getByLabel(`Choose docker.io/several/${name}`).check();
    await page.getByRole('toolbar', { name: '2 chosen' }).getByRole('button', { name: 'Purge…' }).click();
    const dialog = opened.dialog('Purge from the cache');
    for (const name of ['one', 'two']) await dialog.getByText(`docker.io/several/${name}:1`).waitFor();
    await dialog.getByRole('button', { name: /^Purge \d/ }).click();
    await opened.told(/^Purged: /);
    const { repositories } = await opened.read<Repositories>('repositories?search=several');
    assert.deepEqual(
      repositories.map(({ repository }) => repository),
      ['several/three'],
    );
    // What another repository has stays on the disk.
    for (const { digest } of image.blobs) assert.ok(isStored(digest), digest);
    await eventually(async () => assert.equal(await opened.row('several/').count(), 1));
  });
});
