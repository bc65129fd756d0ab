import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Browser, Page } from 'playwright-core';
import type { OPERATIONS } from '../../src/admin/index.ts';
import { needsBrowser, openBrowser, overflowOf, seriousFindings } from '../support/browser.ts';
import { ConsolePage } from '../support/console-page.ts';
import { placesOf } from '../support/console-places.ts';
import { type LivelyStage, startLivelyStage } from '../support/console-stage.ts';
import { Workspace } from '../support/processes.ts';

// The console by keyboard, by screen reader and on a phone.

type OverviewAnswer = Awaited<ReturnType<(typeof OPERATIONS)['overview']['handle']>>;
type ImageAnswer = Awaited<ReturnType<(typeof OPERATIONS)['image']['handle']>>;

/** The views, by the names of their places. */
const MAIN: ReadonlySet<string> = new Set([
  'now',
  'images',
  'repository',
  'image-held',
  'pulls',
  'pull',
  'registries',
  'clients',
  'configuration',
  'access',
]);
/** Tab stops until a view is reached, at most. */
const MOST_STOPS = 60;

describe('reaching the console', needsBrowser(), () => {
  let workspace: Workspace;
  let stage: LivelyStage;
  let browser: Browser;
  before(async () => {
    workspace = await Workspace.open();
    stage = await startLivelyStage(workspace);
    browser = await openBrowser();
    workspace.defer(() => browser.close());
  });
  after(() => workspace?.close());

  for (const language of ['en', 'zh'] as const) {
    for (const scheme of ['light', 'dark'] as const) {
      for (const width of [1280, 390] as const) {
        test(`no view keeps people out or scrolls sideways: ${language}, ${scheme}, ${width} wide`, async () => {
          const view = { language, scheme, width };
          // Dialogs and the parts of views are the same in every look: the two that differ in all show them.
          const isWhole = (language === 'en') === (scheme === 'light') && (scheme === 'light') === (width === 1280);
          // English has the longer words.
          const isOfWords = language === 'en' && scheme === 'dark' && width === 390;
          await using opened = await ConsolePage.open(browser, stage.entrepot, view);
          const places = placesOf(stage);
          const found: string[] = [];
          for (const { name, place, act } of isWhole || isOfWords
            ? places
            : places.filter(({ name: of }) => MAIN.has(of))) {
            await opened.goto(place);
            await opened.settled();
            await act?.(opened);
            const overflow = await overflowOf(opened.page);
            if (overflow > 0) found.push(`${name} is ${overflow} px too wide`);
            if (!isWhole && !MAIN.has(name)) continue;
            for (const finding of await seriousFindings(opened.page)) found.push(`${name}: ${finding}`);
          }
          assert.deepEqual(found, []);
        });
      }
    }
  }

  for (const [language, title, shown] of [
    [
      'en',
      'Transfers from upstreams',
      [
        /from hub\d connections?[\d.]+ [KM]?i?B\/s/,
        /from mirror\.example\.com\d connections?[\d.]+ [KM]?i?B\/s/,
        /up to [\d.]+ times as fast/,
      ],
    ],
    [
      'zh',
      '来自上游的传输',
      [/来自 hub\d 个连接[\d.]+ [KM]?i?B\/s/, /来自 mirror\.example\.com\d 个连接/, /最快时为单个连接的 [\d.]+ 倍/],
    ],
  ] as const) {
    test(`the first view shows what each upstream brings to a transfer: ${language}`, async () => {
      await using opened = await ConsolePage.open(browser, stage.entrepot, { language });
      const { transfers } = await opened.read<OverviewAnswer>('overview');
      const split = transfers.find(({ repository }) => repository === 'qwen/weights');
      assert.deepEqual(split?.upstreams?.map(({ upstream }) => upstream).sort(), ['hub', 'mirror.example.com']);
      const facts = opened.section(title).locator('.flow-facts');
      for (const text of shown) await facts.filter({ hasText: text }).first().waitFor();
    });
  }

  test('every view is reached by keyboard, with a focus that is seen, in the order of what is read', async () => {
    await using opened = await ConsolePage.open(browser, stage.entrepot);
    const { page } = opened;
    for (const view of ['Images', 'Pulls', 'Registries', 'Clients', 'Configuration', 'Access', 'Now']) {
      await tabTo(page, (focused) => focused === view);
      await page.keyboard.press('Enter');
      await opened.heading(view).waitFor();
      // The heading takes the focus, so that a screen reader says where it is.
      await page.locator('h1:focus').waitFor();
    }
    // What stands first takes the focus first; the link to the content is the first of all.
    await opened.goto('images');
    await opened.settled();
    const order: string[] = [];
    for (let stop = 0; stop < 30; stop += 1) {
      await page.keyboard.press('Tab');
      order.push(await seenFocus(page));
    }
    const places = [
      'Skip to the content',
      'Images',
      'Search repositories',
      'Registry',
      'Home',
      'Choose all that are listed',
    ];
    const at = places.map((name) => order.indexOf(name));
    assert.deepEqual(
      at.toSorted((a, b) => a - b),
      at,
      order.join(' | '),
    );
    assert.equal(at[0], 0, order.join(' | '));
  });

  test('a tag is purged by keyboard alone', async () => {
    await using opened = await ConsolePage.open(browser, stage.entrepot, { provokes: [/status of 404/] });
    const { page } = opened;
    const name = 'ghcr.io/prometheus/prometheus:v3.6.0';
    assert.ok((await opened.read<ImageAnswer>(`image?image=${name}`)).entry.storedBytes > 0);
    await tabTo(page, (focused) => focused === 'Images');
    await page.keyboard.press('Enter');
    await opened.heading('Images').waitFor();
    await opened.settled();
    await tabTo(page, (focused) => focused === 'Search repositories');
    await page.keyboard.type('prometheus');
    await page.keyboard.press('Enter');
    await opened.row('library/nginx').waitFor({ state: 'detached' });
    await tabTo(page, (focused) => focused.includes('prometheus/prometheus') && !focused.startsWith('Choose'));
    await page.keyboard.press('Enter');
    await opened.row('v3.6.0').waitFor();
    await tabTo(page, (focused) => focused === 'v3.6.0');
    await page.keyboard.press('Enter');
    await opened.heading('v3.6.0').waitFor();
    await opened.settled();
    await tabTo(page, (focused) => focused === 'Purge…');
    await page.keyboard.press('Enter');
    const dialog = opened.dialog('Purge from the cache');
    await dialog.getByText(name).waitFor();
    // Escape leaves it, and the focus returns to the button.
    await page.keyboard.press('Escape');
    await dialog.waitFor({ state: 'detached' });
    assert.equal(await seenFocus(page), 'Purge…');
    await page.keyboard.press('Enter');
    await dialog.getByText(name).waitFor();
    await tabTo(page, (focused) => /^Purge \d/.test(focused));
    await page.keyboard.press('Enter');
    await page
      .locator('.toast')
      .getByText(/^Purged: /)
      .waitFor();
    const answer = await opened.context.request.get(`${stage.entrepot.url}/api/v1/image?image=${name}`);
    assert.equal(answer.status(), 404);
  });

  test('the rows of a table are gone through by arrows', async () => {
    await using opened = await ConsolePage.open(browser, stage.entrepot, { place: 'images' });
    const { page } = opened;
    const rows = opened.page.getByRole('row').getByRole('link');
    await rows.first().focus();
    await page.keyboard.press('ArrowDown');
    assert.equal(await seenFocus(page), await rows.nth(1).innerText());
    await page.keyboard.press('End');
    assert.equal(await seenFocus(page), await rows.last().innerText());
    await page.keyboard.press('Home');
    assert.equal(await seenFocus(page), await rows.first().innerText());
  });
});

/** Presses Tab until the name of what has the focus fits; each stop on the way must be seen. */
async function tabTo(page: Page, fits: (focused: string) => boolean): Promise<void> {
  const passed: string[] = [];
  for (let stop = 0; stop < MOST_STOPS; stop += 1) {
    await page.keyboard.press('Tab');
    const focused = await seenFocus(page);
    if (fits(focused)) return;
    passed.push(focused);
  }
  assert.fail(`The focus did not come there: ${passed.join(' | ')}`);
}

/** The name of what has the focus, which must be in the window and marked. */
async function seenFocus(page: Page): Promise<string> {
  const { name, mark, isInside } = await page.evaluate<{ name: string; mark: string; isInside: boolean }>(`(() => {
    const element = document.activeElement;
    if (element === document.body) return { name: '', mark: '', isInside: true };
    // A row is marked whole where its link has the focus.
    const { outlineStyle, outlineWidth, boxShadow } = getComputedStyle((element.matches('a') && element.closest('.row-link')) || element);
    const label = element.getAttribute('aria-label') ?? element.labels?.[0]?.innerText ?? element.innerText ?? '';
    const { top, bottom } = element.getBoundingClientRect();
    return {
      name: label.replace(/\\n.*/s, '').trim(),
      mark: outlineStyle === 'none' || outlineWidth === '0px' ? boxShadow : outlineStyle,
      isInside: bottom > 0 && top < innerHeight,
    };
  })()`);
  if (name !== '' && !isInside) assert.fail(`${name} has the focus outside of the window`);
  if (name !== '' && mark === 'none') assert.fail(`The focus is not seen on ${name}`);
  return name;
}
