import type { ConsolePage } from './console-page.ts';
import type { LivelyStage } from './console-stage.ts';

/** A place of the console that tests and pictures visit. */
export interface ConsolePlace {
  /** Of the picture. */
  readonly name: string;
  /** Below `/ui/`. */
  readonly place: string;
  /** Opens a dialog or a menu there. */
  readonly act?: (opened: ConsolePage) => Promise<void>;
}

const NGINX = 'images/docker.io/library/nginx';

/** Every view, with its parts and dialogs. Names of buttons are found by their place, as they speak two languages. */
export function placesOf({ pullId }: Pick<LivelyStage, 'pullId'>): readonly ConsolePlace[] {
  return [
    { name: 'now', place: '' },
    { name: 'images', place: 'images' },
    { name: 'images-registry', place: 'images/docker.io' },
    { name: 'images-none', place: 'images?search=nothing-like-it' },
    { name: 'repository', place: NGINX },
    { name: 'repository-chosen', place: NGINX, act: chooseAll },
    { name: 'repository-purge', place: NGINX, act: openPurge },
    { name: 'image', place: `${NGINX}:1.27` },
    { name: 'image-held', place: `${NGINX}:latest` },
    { name: 'image-history', place: `${NGINX}:latest?tab=history` },
    { name: 'image-referrers', place: `${NGINX}:1.27?tab=referrers` },
    { name: 'image-explain', place: `${NGINX}:1.27?tab=explain` },
    { name: 'pulls', place: 'pulls' },
    { name: 'pull', place: `pulls/${pullId}`, act: openFirstRequest },
    { name: 'registries', place: 'registries' },
    { name: 'registries-checked', place: 'registries', act: checkFirst },
    { name: 'clients', place: 'clients' },
    { name: 'configuration', place: 'configuration' },
    { name: 'configuration-problems', place: 'configuration/problems' },
    { name: 'configuration-yaml', place: 'configuration/yaml' },
    { name: 'access', place: 'access' },
    { name: 'access-tokens', place: 'access/tokens' },
    { name: 'access-token-dialog', place: 'access/tokens', act: openMain },
    { name: 'access-rules', place: 'access/rules' },
    { name: 'access-ask', place: 'access/ask' },
    { name: 'access-audit', place: 'access/audit' },
    { name: 'not-found', place: 'no-such-view' },
  ];
}

async function chooseAll({ page }: ConsolePage): Promise<void> {
  await page.locator('.row-head input').click();
  await page.getByRole('toolbar').waitFor();
}

async function openPurge({ page }: ConsolePage): Promise<void> {
  await page.locator('.heading-actions button').last().click();
  await page.locator('.names').waitFor();
}

async function openFirstRequest({ page }: ConsolePage): Promise<void> {
  await page.locator('.fall summary').first().click();
}

async function checkFirst({ page }: ConsolePage): Promise<void> {
  await page.locator('.registry-actions button').first().click();
  await page.locator('.check-result').waitFor();
}

async function openMain({ page }: ConsolePage): Promise<void> {
  await page.locator('main .button-main').click();
  await page.getByRole('dialog').waitFor();
}
