import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser } from 'playwright-core';
import { OPERATIONS } from '../../src/admin/index.ts';
import { operate } from '../support/api-stage.ts';
import { type RunningEntrepot, startEntrepot } from '../support/app.ts';
import { needsBrowser, openBrowser } from '../support/browser.ts';
import { ConsolePage } from '../support/console-page.ts';
import { buildImage } from '../support/image.ts';
import { needs, type RunResult, run, Workspace } from '../support/processes.ts';
import { type ScriptedUpstream, startScriptedUpstream } from '../support/scripted-upstream.ts';

// Users, tokens and rules on the page, and what clients then may.

const PASSWORD = 'correct horse';

describe('access on the console', { ...needs('skopeo'), ...needsBrowser() }, () => {
  let workspace: Workspace;
  let upstream: ScriptedUpstream;
  let entrepot: RunningEntrepot;
  let browser: Browser;
  before(async () => {
    workspace = await Workspace.open();
    upstream = await startScriptedUpstream();
    workspace.defer(() => upstream.stop());
    for (const name of ['public/app', 'private/app']) upstream.add(buildImage({ seed: name }), name, ['1']);
    entrepot = await startEntrepot(workspace, {
      default_registry: 'plain',
      registries: { plain: { upstreams: [upstream.url] } },
      access: {
        rules: [
          { who: 'anonymous', may: ['pull'], on: ['plain/public/**'] },
          { who: 'alice', may: ['pull', 'catalog', 'status', 'admin'], on: ['**'] },
          { who: 'bob', may: ['pull', 'catalog', 'status'], on: ['plain/public/**'] },
          { who: 'token:ci', may: ['pull'], on: ['plain/private/**'] },
        ],
      },
    });
    for (const name of ['alice', 'bob']) await operate(entrepot, OPERATIONS.userAdd, { name, password: PASSWORD });
    browser = await openBrowser();
    workspace.defer(() => browser.close());
  });
  after(() => workspace?.close());

  const inspect = (name: string, token?: string): Promise<RunResult> => {
    const credential = token === undefined ? ['--no-creds'] : ['--creds', `ci:${token}`];
    return run([
      'skopeo',
      'inspect',
      '--raw',
      '--tls-verify=false',
      ...credential,
      `docker://${entrepot.host}/${name}:1`,
    ]);
  };

  async function logIn(user: string, place = '', provokes: readonly RegExp[] = []): Promise<ConsolePage> {
    const opened = await ConsolePage.open(browser, entrepot, {
      operator: false,
      place,
      provokes: [/status of 40[13]/, ...provokes],
    });
    const { page } = opened;
    await page.getByLabel('User').fill(user);
    await page.getByLabel('Password or token').fill(PASSWORD);
    await opened.button('Log in').click();
    await page.getByRole('navigation', { name: 'Views' }).waitFor();
    return opened;
  }

  test('a wrong password is refused, a right one shows the view that was asked for', async () => {
    await using opened = await ConsolePage.open(browser, entrepot, {
      operator: false,
      place: 'images',
      provokes: [/status of 401/],
    });
    const { page } = opened;
    await page.getByLabel('User').fill('alice');
    await page.getByLabel('Password or token').fill('wrong');
    await opened.button('Log in').click();
    await page.getByRole('alert').getByText('The login was refused.').waitFor();
    assert.equal(await page.getByRole('navigation', { name: 'Views' }).count(), 0);
    await page.getByLabel('Password or token').fill(PASSWORD);
    await opened.button('Log in').click();
    await opened.heading('Images').waitFor();
    await opened.button('Log out').click();
    await opened.heading('Log in').waitFor();
  });

  test('the secret of a token is shown once, works with skopeo, and no longer when it is revoked', async () => {
    await using opened = await logIn('alice', 'access/tokens');
    const { page } = opened;
    await opened.button('Create a token…').click();
    const dialog = opened.dialog('Create a token');
    await dialog.getByLabel('Name').fill('ci');
    await dialog.getByLabel('On').fill('plain/private/**');
    await dialog.getByRole('button', { name: 'Create' }).click();
    const shown = opened.dialog('The token ci');
    const secret = (await shown.locator('pre').textContent()) ?? '';
    assert.ok(secret.length >= 20, secret);
    await shown.getByRole('button', { name: 'Done' }).click();
    await opened.row('ci').getByText('Valid').waitFor();
    for (const place of ['access/tokens', 'access']) {
      await opened.goto(place);
      await opened.settled();
      assert.equal((await page.content()).includes(secret), false);
    }
    assert.equal((await inspect('private/app', secret)).code, 0);
    assert.notEqual((await inspect('private/app')).code, 0);

    await opened.goto('access/tokens');
    await opened.row('ci').getByRole('button', { name: 'Revoke…' }).click();
    await opened.dialog('Revoke ci').getByRole('button', { name: 'Revoke' }).click();
    await opened.told('ci is revoked.');
    const refused = await inspect('private/app', secret);
    assert.notEqual(refused.code, 0);
    assert.match(refused.stderr, /not valid|unauthorized|denied/i);
  });

  test('a user who is disabled is logged out, in a page that is open', async () => {
    await using bobs = await logIn('bob');
    await using alices = await logIn('alice', 'access');
    await alices.row('bob').getByRole('button', { name: 'Disable' }).click();
    await alices.told('bob is disabled, and refused from now on.');
    // What the page asks next is refused, and it shows the login.
    await bobs.page.getByRole('link', { name: 'Images' }).click();
    await bobs.heading('Log in').waitFor();
    assert.equal(await bobs.page.getByRole('table').count(), 0);
    await alices.row('bob').getByRole('button', { name: 'Enable' }).click();
    await alices.told('bob is enabled.');
  });

  test('a user is added, and removed with what ends with it', async () => {
    await using opened = await logIn('alice', 'access');
    await opened.button('Add a user…').click();
    const dialog = opened.dialog('Add a user');
    await dialog.getByLabel('Name').fill('erin');
    await dialog.getByRole('button', { name: 'Make one' }).click();
    const password = await dialog.getByLabel('Password').inputValue();
    assert.equal(password.length, 20);
    await dialog.getByRole('button', { name: 'Add', exact: true }).click();
    await opened.told('erin is added.');
    const authorization = `Basic ${Buffer.from(`erin:${password}`).toString('base64')}`;
    const asErin = async (): Promise<number> =>
      (await fetch(`${entrepot.url}/v2/`, { headers: { authorization } })).status;
    assert.equal(await asErin(), 200);
    await opened.row('erin').getByRole('button', { name: 'Remove…' }).click();
    await opened.dialog('Remove erin').getByRole('button', { name: 'Remove' }).click();
    await opened.told('erin is removed.');
    assert.equal(await asErin(), 401);
  });

  test('the rules are listed, and say what decides', async () => {
    await using opened = await logIn('alice', 'access/rules');
    const { page } = opened;
    await opened.row('access.rules[3]').getByText('token:ci').waitFor();
    await page.getByRole('tab', { name: 'Ask the rules' }).click();
    for (const [who, image, verdict] of [
      ['bob', 'plain/private/app', 'Refused'],
      ['bob', 'plain/public/app', 'Allowed'],
      ['token:ci', 'plain/private/app', 'Allowed'],
    ] as const) {
      await page.getByLabel('Who').fill(who);
      await page.getByLabel('Image').fill(image);
      await opened.button('Ask').click();
      await page.getByRole('status').getByText(verdict, { exact: true }).waitFor();
    }
    await page.getByRole('status').getByText('access.rules[3]', { exact: true }).waitFor();
  });

  test('the navigation leads to what a user may see', async () => {
    const views = async (user: string): Promise<readonly string[]> => {
      await using opened = await logIn(user);
      return await opened.page.getByRole('navigation', { name: 'Views' }).locator('.nav-long').allTextContents();
    };
    const all = ['Now', 'Images', 'Pulls', 'Registries', 'Clients', 'Configuration', 'Access'];
    assert.deepEqual(await views('alice'), all);
    assert.deepEqual(await views('bob'), ['Now', 'Images', 'Pulls', 'Clients']);
  });

  test('who may only read has no button that changes, and sees no repository that it may not pull', async () => {
    for (const name of ['public/app', 'private/app']) {
      const authorization = `Basic ${Buffer.from(`alice:${PASSWORD}`).toString('base64')}`;
      await fetch(`${entrepot.url}/v2/${name}/manifests/1`, { headers: { authorization } });
    }
    await using opened = await logIn('bob', 'images');
    await opened.row('public/app').waitFor();
    assert.equal(await opened.row('private/app').count(), 0);
    assert.equal(await opened.page.getByRole('checkbox').count(), 0);
    await opened.row('public/app').getByRole('link').click();
    await opened.heading('public/app').waitFor();
    await opened.page.getByText(/Your user may only read here/).waitFor();
    for (const name of [/Purge/, /Refresh/, /Pin/]) assert.equal(await opened.button(name).count(), 0);
    await opened.goto('pulls');
    await opened.row('public/app').first().waitFor();
    assert.equal(await opened.row('private/app').count(), 0);
  });
});
