import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';
import { after, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { OPERATIONS } from '../../src/admin/index.ts';
import { operate } from '../support/api-stage.ts';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { needsBrowser, openBrowser } from '../support/browser.ts';
import { ConsolePage, eventually } from '../support/console-page.ts';
import { pullImage, requestOf } from '../support/console-stage.ts';
import { buildImage } from '../support/image.ts';
import { Workspace } from '../support/processes.ts';
import { Gate } from '../support/scripted/faults.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// The console over a cache with many repositories and many transfers.

const REPOSITORIES = 100_000;
const TRANSFERS = 1000;
/** Rows of a table that may be drawn: those of the window, and some around them. */
const MOST_ROWS = 120;
/** Milliseconds of server time; the goal is 100, on a quiet machine. */
const LOOSE = 1000;

describe('a large cache on the console', needsBrowser(), () => {
  let workspace: Workspace;
  let upstream: ScriptedUpstream;
  let entrepot: RunningEntrepot;
  let browser: Browser;
  const gate = new Gate();
  before(async () => {
    workspace = await Workspace.open();
    upstream = await startScriptedUpstream();
    workspace.defer(() => upstream.stop());
    const config = {
      registries: { 'docker.io': { upstreams: [upstream.url] } },
      transport: { max_conns_per_host: TRANSFERS + 100 },
      log: { level: 'info', format: 'json' },
    };
    const first = await startEntrepot(workspace, config);
    const image = buildImage({ seed: 'scale', architectures: ['amd64'], layers: [100] });
    upstream.add(image, 'library/app', ['latest']);
    await pullImage(first, { name: 'library/app', image });
    await first.stop();
    addRepositories(join(first.dir, 'names.db'));
    entrepot = await startEntrepot(workspace, config, { dir: first.dir });
    browser = await openBrowser();
    workspace.defer(() => browser.close());
  });
  after(async () => {
    gate.open();
    await workspace?.close();
  });

  test(`with ${REPOSITORIES} repositories the first view of Images is quick, and holds the visible rows alone`, async (t) => {
    const took = await serverTime('repositories');
    t.diagnostic(`the first page of repositories: ${took.toFixed(1)} ms`);
    assert.ok(took < LOOSE, `${took} ms`);
    await using opened = await ConsolePage.open(browser, entrepot, { place: 'images' });
    const { page } = opened;
    const rows = page.locator('.rows .row');
    await rows.first().waitFor();
    // To the 5000th row: more are read as the reader nears the end of those that are there.
    const wanted = 5000;
    await eventually(
      async () => {
        await page.evaluate('scrollTo(0, document.documentElement.scrollHeight)');
        assert.ok((await page.evaluate<number>('document.querySelector(".rows").clientHeight')) >= (wanted + 100) * 44);
      },
      { within: 60_000 },
    );
    await page.evaluate(`scrollTo(0, ${wanted} * 44)`);
    const row = page.locator(`[aria-rowindex="${wanted + 1}"]`);
    await row.waitFor();
    const most = await rows.count();
    t.diagnostic(`rows in the document: ${most}`);
    assert.ok(most <= MOST_ROWS, `${most} rows are drawn`);
    const path = (await row.getByRole('link').getAttribute('href')) ?? '';
    await row.getByRole('link').click();
    await opened.heading(path.slice(path.indexOf('library/'))).waitFor();
  });

  test('a search in them finds one', async (t) => {
    const took = await serverTime('repositories?search=filler-77777');
    t.diagnostic(`a search: ${took.toFixed(1)} ms`);
    assert.ok(took < LOOSE, `${took} ms`);
    await using opened = await ConsolePage.open(browser, entrepot, { place: 'images' });
    await opened.page.getByLabel('Search repositories').fill('filler-77777');
    await eventually(async () => assert.equal(await opened.page.locator('.rows .row').count(), 1));
  });

  test(`with ${TRANSFERS} transfers under way the first view is quick, and does not draw them all`, async (t) => {
    const held = Array.from({ length: TRANSFERS }, (_, at) => {
      const bytes = Buffer.from(`transfer ${at}`.padEnd(2000, '.'));
      const digest = `sha256:${createHash('sha256').update(bytes).digest('hex')}`;
      upstream.addBlob('library/app', {
        digest: digest as never,
        bytes,
        size: bytes.length,
        mediaType: 'application/octet-stream',
      });
      return digest;
    });
    upstream.fault({ kind: 'blob' }, { stallAt: 1000, stallGate: gate });
    const pulls = held.map((digest) => requestOf(entrepot, `library/app/blobs/${digest}`).catch(() => undefined));
    await gate.arrived(TRANSFERS);
    const { transferCount } = await operate(entrepot, OPERATIONS.overview);
    assert.equal(transferCount, TRANSFERS);
    const took = await serverTime('overview');
    t.diagnostic(`the overview: ${took.toFixed(1)} ms`);
    assert.ok(took < LOOSE, `${took} ms`);
    {
      await using opened = await ConsolePage.open(browser, entrepot);
      await opened.section('Transfers from upstreams').getByText('1,000', { exact: true }).waitFor();
      const drawn = await opened.section('Transfers from upstreams').getByRole('listitem').count();
      t.diagnostic(`transfers in the document: ${drawn}`);
      assert.ok(drawn <= 200, `${drawn}`);
    }
    gate.open();
    await Promise.all(pulls);
  });

  /** The best of nine, in milliseconds: the first has to load what the API needs. */
  async function serverTime(path: string): Promise<number> {
    const times: number[] = [];
    for (let round = 0; round < 9; round += 1) {
      const startedAt = performance.now();
      const response = await fetch(`${entrepot.url}/api/v1/${path}`);
      await response.arrayBuffer();
      assert.equal(response.status, 200);
      times.push(performance.now() - startedAt);
    }
    return times.toSorted((a, b) => a - b)[4] ?? 0;
  }
});

/** Puts repositories, each with a tag of one manifest, into the metadata of a server that does not run. */
function addRepositories(file: string): void {
  const database = new DatabaseSync(file);
  try {
    const tag = database.prepare('SELECT * FROM tags LIMIT 1').get() ?? {};
    const columns = Object.keys(tag);
    const places = columns.map(() => '?').join(', ');
    const putTag = database.prepare(`INSERT INTO tags (${columns.join(', ')}) VALUES (${places})`);
    const member = database.prepare('SELECT * FROM members WHERE digest = ?').get(tag['digest'] ?? '') ?? {};
    const memberColumns = Object.keys(member);
    const memberPlaces = memberColumns.map(() => '?').join(', ');
    const putMember = database.prepare(`INSERT INTO members (${memberColumns.join(', ')}) VALUES (${memberPlaces})`);
    database.exec('BEGIN IMMEDIATE');
    for (let at = 0; at < REPOSITORIES; at += 1) {
      const repository = `library/filler-${at}`;
      putMember.run(...memberColumns.map((name) => (name === 'repository' ? repository : (member[name] ?? null))));
      putTag.run(...columns.map((name) => (name === 'repository' ? repository : (tag[name] ?? null))));
    }
    database.exec('COMMIT');
  } finally {
    database.close();
  }
}
