import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import { callControl, controlSocketPath, OPERATIONS } from '../../src/admin/index.ts';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import {
  complaintsOf,
  needsBrowser,
  openBrowser,
  openContext,
  overflowOf,
  seriousFindings,
} from '../support/browser.ts';
import { buildImage } from '../support/image.ts';
import { needs, run, Workspace } from '../support/processes.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// The views Images, Registries and Access, driven by a browser against a server that real clients pull from.

const IMAGE = buildImage({ seed: 'console images', layers: [300_000, 60_000] });
const OTHER = buildImage({ seed: 'console images, other', layers: [200_000] });
/** Where a tag moves to: none of it is stored before. */
const MOVED = buildImage({ seed: 'console images, moved', layers: [200_000] });
const PASSWORD = 'correct horse';

const { skip = needs('skopeo').skip } = needsBrowser();
const options = skip === undefined ? {} : { skip };

describe('the console', options, () => {
  let workspace: Workspace;
  let upstream: ScriptedUpstream;
  let browser: Browser;

  before(async () => {
    workspace = await Workspace.open();
    upstream = await startScriptedUpstream();
    workspace.defer(() => upstream.stop());
    upstream.add(IMAGE, 'team/app', ['1.0', 'latest']);
    upstream.add(OTHER, 'team/other', ['latest']);
    browser = await openBrowser();
    workspace.defer(() => browser.close());
  });
  after(() => workspace.close());

  const pull = async ({ host }: RunningEntrepot, name: string): Promise<void> => {
    const target = workspace.path(`image-${Math.random().toString(36).slice(2)}`);
    const source = `docker://${host}/${name}`;
    const { code, stderr } = await run(['skopeo', 'copy', '--all', '--src-tls-verify=false', source, `oci:${target}`]);
    assert.equal(code, 0, stderr);
  };

  /** The page, with the right to change that `entrepot console` gives. */
  async function openAsOperator(entrepot: RunningEntrepot): Promise<Page> {
    const { code } = await callControl(controlSocketPath(entrepot.dir), OPERATIONS.console);
    const page = await (await openContext(browser)).newPage();
    await page.goto(`${entrepot.url}/ui/#code=${code}`);
    await page.getByRole('link', { name: 'Images' }).first().waitFor();
    return page;
  }

  const visit = async (page: Page, { url }: RunningEntrepot, path: string): Promise<void> => {
    await page.goto(`${url}/ui/${path}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
  };

  test('shows what was pulled, and changes it', { timeout: 120_000 }, async () => {
    const registries = { up: { upstreams: [{ url: upstream.url, name: 'hub' }] } };
    const entrepot = await startEntrepot(workspace, { registries, cache: { tags: { fresh_for: '0s' } } });
    const image = (of: string) =>
      callControl(controlSocketPath(entrepot.dir), OPERATIONS.image, { input: { image: of } });
    await pull(entrepot, 'up/team/app:latest');
    await pull(entrepot, 'up/team/other:latest');
    const page = await openAsOperator(entrepot);
    const complaints = complaintsOf(page);

    await visit(page, entrepot, 'images');
    await page.getByLabel('Search repositories').fill('app');
    await page.getByRole('link', { name: 'up/team/other' }).waitFor({ state: 'detached' });
    await page.getByRole('link', { name: 'up/team/app' }).click();
    await page.getByRole('heading', { name: 'team/app' }).waitFor();
    await page.getByRole('link', { name: 'latest' }).click();
    await page.getByText('Complete').first().waitFor();
    assert.equal(await page.locator('.pull-box pre').textContent(), `docker pull ${entrepot.host}/up/team/app:latest`);
    await page.getByLabel('With').selectOption('skopeo');
    await page.getByText('skopeo copy --src-tls-verify=false').waitFor();
    await page.getByRole('button', { name: /^Show the parts of linux\/amd64/ }).click();
    await page.locator('.tree .tree').getByText('Config sha256').waitFor();

    await page.getByRole('button', { name: 'Pin', exact: true }).click();
    await page.getByRole('button', { name: 'Unpin' }).waitFor();
    assert.equal((await image('up/team/app:latest')).entry.pinned, 'operator');
    await page.getByRole('button', { name: 'Unpin' }).click();
    await page.getByRole('button', { name: 'Pin', exact: true }).waitFor();
    assert.equal((await image('up/team/app:latest')).entry.pinned, undefined);

    const before = (await image('up/team/app:latest')).entry.digest;
    upstream.add(MOVED, 'team/app', ['latest']);
    await page.getByRole('button', { name: 'Refresh' }).click();
    await page.getByText('Asked: 1 moved, 0 unchanged, 0 failed.').waitFor();
    await page.getByRole('tab', { name: 'History' }).click();
    await page
      .getByRole('row')
      .filter({ hasText: before.slice(0, 19) })
      .getByRole('button', { name: 'Roll back…' })
      .click();
    await page.getByLabel('Reason (optional)').fill('the new one is broken');
    await page.getByRole('button', { name: 'Roll back', exact: true }).click();
    await page.getByText('Reason: the new one is broken').waitFor();
    assert.equal((await image('up/team/app:latest')).hold?.digest, before);
    await page.getByRole('button', { name: 'End the hold…' }).click();
    await page.getByRole('button', { name: 'End the hold', exact: true }).click();
    await page.getByText('Reason: the new one is broken').waitFor({ state: 'detached' });
    assert.equal((await image('up/team/app:latest')).hold, undefined);

    await page.getByRole('button', { name: 'Fetch now' }).click();
    await page.getByText('The image is being fetched').waitFor();
    await page.getByText('Complete').first().waitFor();
    assert.equal((await image('up/team/app:latest')).entry.complete, true);

    await visit(page, entrepot, 'images/up/team/app');
    await page.getByRole('checkbox', { name: 'Choose latest' }).check();
    await page.getByRole('toolbar').getByRole('button', { name: 'Purge…' }).click();
    await page.getByRole('dialog').getByText('up/team/app:latest').waitFor();
    assert.equal((await image('up/team/app:latest')).entry.complete, true, 'the dry run changes nothing');
    await page
      .getByRole('dialog')
      .getByRole('button', { name: /^Purge \d/ })
      .click();
    await page.getByRole('dialog').waitFor({ state: 'detached' });
    await assert.rejects(image('up/team/app:latest'));
    assert.deepEqual(complaints, []);
  });

  test('explains the next pull, and checks an upstream', { timeout: 60_000 }, async () => {
    const registries = {
      up: { upstreams: [{ url: upstream.url, name: 'hub' }] },
      gone: { upstreams: [{ url: 'http://127.0.0.1:9', name: 'gone' }] },
    };
    const entrepot = await startEntrepot(workspace, { registries });
    await pull(entrepot, 'up/team/other:latest');
    const page = await openAsOperator(entrepot);
    const complaints = complaintsOf(page);
    await visit(page, entrepot, 'images/up/team/other:latest?tab=explain');
    await page.getByText('Every byte is stored here, so nothing is fetched.').waitFor();
    await visit(page, entrepot, 'registries');
    await page
      .getByRole('region', { name: 'gone' })
      .getByRole('button', { name: /^Check now/ })
      .click();
    await page.getByText('Not reachable').waitFor();
    await page.getByText(/check host and port/).waitFor();
    await page
      .getByRole('region', { name: 'up', exact: true })
      .getByRole('button', { name: /^Check now/ })
      .click();
    await page.getByText('Reachable', { exact: true }).waitFor();
    await visit(page, entrepot, 'access');
    await page.getByText('There are no rules').waitFor();
    assert.deepEqual(complaints, []);
  });

  test('offers no change to a session that may only read', { timeout: 60_000 }, async () => {
    const entrepot = await startEntrepot(workspace, { registries: { up: { upstreams: [upstream.url] } } });
    await pull(entrepot, 'up/team/other:latest');
    const page = await (await openContext(browser)).newPage();
    for (const path of ['images', 'images/up/team/other', 'images/up/team/other:latest', 'registries']) {
      await visit(page, entrepot, path);
      await page.locator('main .card').first().waitFor();
      assert.equal(await page.locator('main input[type=checkbox]').count(), 0, path);
      assert.equal(
        await page
          .locator('main')
          .getByRole('button', { name: /Purge|Refresh|Pin|Fetch|Check/ })
          .count(),
        0,
        path,
      );
    }
  });

  test('manages users and tokens', { timeout: 60_000 }, async () => {
    const rules = [
      { who: 'alice', may: ['pull'], on: ['**'] },
      { who: 'alice', may: ['status', 'admin'] },
    ];
    const entrepot = await startEntrepot(workspace, {
      registries: { up: { upstreams: [upstream.url] } },
      access: { rules },
    });
    const socket = controlSocketPath(entrepot.dir);
    await callControl(socket, OPERATIONS.userAdd, { input: { name: 'alice', password: PASSWORD } });
    const page = await (await openContext(browser)).newPage();
    await page.goto(`${entrepot.url}/ui/access`);
    await page.getByLabel('User', { exact: true }).fill('alice');
    await page.getByLabel('Password or token').fill(PASSWORD);
    await page.getByRole('button', { name: 'Log in' }).click();
    await page.getByRole('button', { name: 'Add a user…' }).click();
    await page.getByLabel('Name').fill('bob');
    await page.getByRole('button', { name: 'Make one' }).click();
    await page.getByRole('button', { name: 'Add', exact: true }).click();
    const bob = page.getByRole('row', { name: /^bob/ });
    await bob.getByText('Enabled').waitFor();
    await bob.getByRole('button', { name: 'Disable' }).click();
    await bob.getByText('Disabled').waitFor();
    await bob.getByRole('button', { name: 'Remove…' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Remove' }).click();
    await bob.waitFor({ state: 'detached' });

    await page.getByRole('tab', { name: 'Tokens' }).click();
    await page.getByRole('button', { name: 'Create a token…' }).click();
    await page.getByLabel('Name').fill('ci');
    await page.getByLabel('On', { exact: true }).fill('up/team/**');
    await page.getByRole('button', { name: 'Create', exact: true }).click();
    const secret = await page.getByRole('dialog').locator('pre').textContent();
    assert.match(secret ?? '', /^ent_[0-9A-Za-z]{49}$/);
    await page.getByRole('button', { name: 'Done' }).click();
    assert.ok(!(await page.content()).includes(secret ?? 'ent_'), 'the secret is shown once');
    const ci = page.getByRole('row', { name: /^ci/ });
    await ci.getByText('up/team/**').waitFor();
    await ci.getByRole('button', { name: 'Revoke…' }).click();
    await page.getByRole('dialog').getByRole('button', { name: 'Revoke' }).click();
    await page.getByText('There is no token yet.').waitFor();

    await page.getByRole('tab', { name: 'Ask the rules' }).click();
    await page.getByLabel('Who').fill('alice');
    await page.getByLabel('Image', { exact: true }).fill('up/team/app');
    await page.getByRole('button', { name: 'Ask', exact: true }).click();
    await page.getByText('access.rules[0]', { exact: true }).waitFor();
  });

  for (const [width, scheme, language] of [
    [1280, 'light', 'en'],
    [1280, 'dark', 'zh'],
    [390, 'dark', 'en'],
    [390, 'light', 'zh'],
  ] as const) {
    test(`fits ${width} pixels, ${scheme}, ${language}, and has no serious finding of axe`, {
      timeout: 90_000,
    }, async () => {
      const entrepot = await startEntrepot(workspace, { registries: { up: { upstreams: [upstream.url] } } });
      await pull(entrepot, 'up/team/other:latest');
      const { code } = await callControl(controlSocketPath(entrepot.dir), OPERATIONS.console);
      const page = await (await openContext(browser, { width, scheme, language })).newPage();
      await page.goto(`${entrepot.url}/ui/#code=${code}`);
      await page.getByRole('heading', { level: 1 }).waitFor();
      for (const path of [
        'images',
        'images/up/team/other',
        'images/up/team/other:latest',
        'images/up/team/other:latest?tab=history',
        'images/up/team/other:latest?tab=explain',
        'registries',
        'access',
      ]) {
        await visit(page, entrepot, path);
        await page.locator('main .card').first().waitFor();
        assert.deepEqual(await seriousFindings(page), [], path);
        assert.ok((await overflowOf(page)) <= 0, `${path} scrolls sideways`);
      }
    });
  }
});
