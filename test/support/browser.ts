import { AxeBuilder } from '@axe-core/playwright';
import { type Browser, type BrowserContext, chromium, type Page } from 'playwright-core';
import { isInstalled, needs } from './processes.ts';

/** Options for a test that drives the page of the console: it is skipped, aloud, where Debian's Chromium is missing. */
export function needsBrowser(): { skip?: string } {
  return needs('chromium');
}

/** Starts Chromium without a window. `await using browser = await openBrowser()` ends it with the test. */
export function openBrowser(): Promise<Browser> {
  const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(isInstalled);
  // Tests run as root, in containers: there the sandbox of Chromium does not start, and a small /dev/shm makes it crash.
  const args = ['--no-sandbox', '--disable-dev-shm-usage'];
  return chromium.launch({ ...(executablePath === undefined ? {} : { executablePath }), args });
}

export interface ViewOptions {
  /** Pixels; 390 is a phone, with touch. @default 1280 */
  readonly width?: number;
  /** @default light */
  readonly scheme?: 'light' | 'dark';
  /** @default en */
  readonly language?: 'en' | 'zh';
}

/** A browser of its own: cookies and storage are shared by its tabs alone. */
export function openContext(
  browser: Browser,
  { width = 1280, scheme = 'light', language = 'en' }: ViewOptions = {},
): Promise<BrowserContext> {
  const isPhone = width < 600;
  return browser.newContext({
    viewport: { width, height: isPhone ? 844 : 800 },
    colorScheme: scheme,
    locale: language === 'zh' ? 'zh-CN' : 'en-US',
    hasTouch: isPhone,
    isMobile: isPhone,
  });
}

/** Collects what a page complains of: faults of its script, what its policy refuses, failed loads. */
export function complaintsOf(page: Page): readonly string[] {
  const complaints: string[] = [];
  page.on('pageerror', (error) => complaints.push(error.message));
  page.on('console', (message) => {
    if (message.type() === 'error') complaints.push(`${message.text()} ${message.location().url}`);
  });
  return complaints;
}

/** What axe finds on a page that keeps people out: `serious button-name: .menu > button`. */
export async function seriousFindings(page: Page): Promise<readonly string[]> {
  const { violations } = await new AxeBuilder({ page }).analyze();
  return violations
    .filter(({ impact }) => impact === 'serious' || impact === 'critical')
    .flatMap(({ impact, id, nodes }) => nodes.map(({ target }) => `${impact} ${id}: ${target.join(' ')}`));
}

/** Pixels by which a page is wider than its window: a page that scrolls sideways. */
export function overflowOf(page: Page): Promise<number> {
  return page.evaluate('document.documentElement.scrollWidth - innerWidth');
}
