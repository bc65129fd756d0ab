import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser, Locator } from 'playwright-core';
import type { OPERATIONS } from '../../src/admin/index.ts';
import { formatsIn } from '../../ui/src/format.ts';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { needsBrowser, openBrowser } from '../support/browser.ts';
import { ConsolePage, eventually } from '../support/console-page.ts';
import { requestOf } from '../support/console-stage.ts';
import { skopeoPull } from '../support/engines.ts';
import { buildImage, platformOf } from '../support/image.ts';
import { needs, Workspace } from '../support/processes.ts';
import { Gate } from '../support/scripted/faults.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// What the console shows of pulls by a real client: while they run, afterwards, and after a restart of the server.

const LAYER = 1_500_000;
const { bytes, number, percent } = formatsIn('en');

type Overview = Awaited<ReturnType<(typeof OPERATIONS)['overview']['handle']>>;
type Figures = Awaited<ReturnType<(typeof OPERATIONS)['figures']['handle']>>;
/** A row says its outcome in two places: on a phone below the name of the image, else in a column. */
const shownIn = (row: Locator, text: string): Locator => row.getByText(text).filter({ visible: true });

type Explained = Awaited<ReturnType<(typeof OPERATIONS)['explain']['handle']>>;

describe('pulls on the console', { ...needs('skopeo'), ...needsBrowser() }, () => {
  let workspace: Workspace;
  let upstream: ScriptedUpstream;
  let entrepot: RunningEntrepot;
  let browser: Browser;
  let config: Readonly<Record<string, unknown>>;
  before(async () => {
    workspace = await Workspace.open();
    upstream = await startScriptedUpstream({ personality: 'dockerHub' });
    workspace.defer(() => upstream.stop());
    config = { registries: { 'docker.io': { upstreams: [upstream.url] } } };
    entrepot = await startEntrepot(workspace, config);
    browser = await openBrowser();
    workspace.defer(() => browser.close());
  });
  after(() => workspace?.close());

  test('one appears while it runs, its bar moves, and it is explained when it has ended', async () => {
    const image = buildImage({ seed: 'console pull', layers: [LAYER, LAYER], architectures: ['amd64'] });
    upstream.add(image, 'library/app', ['1']);
    const gates = platformOf(image, 'amd64').layers.map(({ digest }) => {
      const gate = new Gate();
      upstream.fault(digest, { stallAt: LAYER / 3, stallGate: gate });
      return gate;
    });
    await using opened = await ConsolePage.open(browser, entrepot);
    const { page } = opened;
    await page.getByText('No pull yet').waitFor();

    const name = `${entrepot.host}/docker.io/library/app:1`;
    const pulled = skopeoPull(workspace, { name, into: 'console' });
    pulled.catch(() => undefined);
    // skopeo copies one layer after the other into a directory.
    await gates[0]?.arrived();
    const flow = (title: string): Locator =>
      opened.section(title).getByRole('listitem').filter({ hasText: 'docker.io/library/app' });
    const running = flow('Pulls under way');
    const share = async (): Promise<number> =>
      Number(await running.getByRole('progressbar').getAttribute('aria-valuenow'));
    // A third of the layer has come, and no more comes until its gate opens.
    await eventually(async () => assert.ok(Math.abs((await share()) - 33) <= 2, `${await share()}`));
    await eventually(async () => assert.equal(await flow('Transfers from upstreams').count(), 1));
    gates[0]?.open();
    await gates[1]?.arrived();
    // All of the first, and a third of the second.
    await eventually(async () => assert.ok(Math.abs((await share()) - 66) <= 2, `${await share()}`));
    await eventually(async () => assert.equal(await flow('Transfers from upstreams').count(), 1));
    gates[1]?.open();
    await pulled;
    await running.getByText('From upstream', { exact: true }).waitFor();
    await running.waitFor({ state: 'detached' });

    await opened.enter('Pulls');
    await shownIn(opened.row('docker.io/library/app:1'), 'From upstream').waitFor();
    // By the id of its last request: any of them finds it.
    const last = String(entrepot.accessLog().at(-1)?.['id']);
    await page.getByLabel('X-Request-Id').fill(last);
    await opened.button('Explain').click();
    await opened.heading('docker.io/library/app:1').waitFor();
    const { pull } = await opened.read<Explained>(`explain?of=${last}`);
    assert.ok(pull !== undefined);
    for (const text of [
      'The image name began with the registry.',
      'A client without a login asked, from 127.0.0.1.',
      'There are no access rules.',
      `Of ${pull.requests} requests, the cache answered ${pull.hits}.`,
      `The client received ${bytes(pull.bytes)}; upstreams sent ${bytes(pull.fetched)} for it.`,
    ]) {
      await page.getByText(text).waitFor();
    }
    assert.ok(pull.bytes > 2 * LAYER && pull.fetched > 2 * LAYER, JSON.stringify(pull));
    // What the upstream was asked for by each request: the page has what the upstream has seen.
    const missed = pull.requestList.find(({ kind, cache }) => kind === 'blob' && cache === 'MISS');
    assert.ok(missed?.reason !== undefined && missed.asked.length > 0, JSON.stringify(pull));
    const blob = page.locator('details.fall').filter({ hasText: 'Blob' }).filter({ hasText: 'MISS' }).first();
    await blob.locator('summary').click();
    await blob.getByText(missed.reason).waitFor();
    await blob.getByText(/\d upstream requests?/).waitFor();
    assert.ok((await blob.getByText('Until the first byte').count()) === 1);
    for (const { asked } of pull.requestList) for (const { url } of asked) assert.match(url, /^http:\/\/127\.0\.0\.1:/);
  });

  test('figures are those of the API, and a restart keeps them; the pull after it is a hit, and says so', async () => {
    const before = await figuresOnPage(entrepot);
    assert.equal(before.pulls, 1);
    for (const sum of [before.fetched, before.bytes])
      assert.ok(sum > 2 * LAYER && sum < 2 * LAYER + 20_000, JSON.stringify(before));
    await entrepot.stop();
    entrepot = await startEntrepot(workspace, config, { dir: entrepot.dir });
    assert.deepEqual(await figuresOnPage(entrepot), before);

    const asked = upstream.count({ kind: 'blob' });
    await skopeoPull(workspace, { name: `${entrepot.host}/docker.io/library/app:1`, into: 'again' });
    assert.equal(upstream.count({ kind: 'blob' }), asked, 'the second pull comes from the cache');
    await using opened = await ConsolePage.open(browser, entrepot, { place: 'pulls' });
    const rows = opened.row('docker.io/library/app:1');
    await shownIn(rows.first(), 'From the cache').waitFor();
    assert.equal(await rows.count(), 2);
    await rows.first().getByRole('link').click();
    await opened.page.getByText('This server had everything and asked no upstream for content.').waitFor();
    await opened.page.getByText(/^The cache saved 2\.9 MiB\.$/).waitFor();
    const after_ = await figuresOnPage(entrepot);
    assert.equal(after_.fetched - before.fetched < 10_000, true, 'no content was fetched again');
    assert.ok(after_.saved > 2 * LAYER);
    assert.ok(after_.hits > before.hits);
  });

  test('a pull that fails says why, by the filter of outcomes too', async () => {
    const { status, id } = await requestOf(entrepot, 'library/missing/manifests/latest');
    assert.equal(status, 404);
    await using opened = await ConsolePage.open(browser, entrepot, { place: 'pulls?outcome=failed' });
    await opened.row('docker.io/library/missing:latest').getByRole('link').click();
    await opened.page.locator('details.fall summary').click();
    await opened.page.getByText('answered 404 NAME_UNKNOWN').waitFor();
    await opened.page.getByText('3 upstream requests').waitFor();
    await opened.goto(`pulls/${id}`);
    await opened.heading('docker.io/library/missing:latest').waitFor();
  });

  test('an id that no pull has is said to be unknown', async () => {
    await using opened = await ConsolePage.open(browser, entrepot, {
      place: 'pulls/none-1',
      provokes: [/status of 404/],
    });
    await opened.page.getByText('No recorded pull has this request.').waitFor();
  });

  /** The sums of a day as the page shows them are those of the API; gives those. */
  async function figuresOnPage(server: RunningEntrepot): Promise<Overview['day']> {
    await using opened = await ConsolePage.open(browser, server);
    const tile = (title: string): Locator =>
      opened.page
        .locator('.tile')
        .filter({ has: opened.page.getByText(title, { exact: true }) })
        .locator('.stat-value');
    await tile('Served').waitFor();
    const { day, month } = await opened.read<Overview>('overview');
    const { total } = await opened.read<Figures>('figures');
    assert.deepEqual(total, day);
    for (const [tab, sums] of [
      ['Last 30 days', month],
      ['Last 24 hours', day],
    ] as const) {
      await opened.page.getByRole('tab', { name: tab }).click();
      const shown = async () => ({
        ratio: await tile('Hit ratio').textContent(),
        served: await tile('Served').textContent(),
        fetched: await tile('Fetched').textContent(),
        saved: await tile('Saved').textContent(),
        pulls: await tile('Pulls').textContent(),
        failed: await tile('Requests with 5xx or cut').textContent(),
      });
      assert.deepEqual(await shown(), {
        ratio: percent(sums.hits, sums.requests),
        served: bytes(sums.bytes),
        fetched: bytes(sums.fetched),
        saved: bytes(sums.saved),
        pulls: number(sums.pulls),
        failed: number(sums.failed),
      });
    }
    return day;
  }
});
