import assert from 'node:assert/strict';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Browser, BrowserContext, Locator, Page } from 'playwright-core';
import { OPERATIONS } from '../../src/admin/index.ts';
import { operate } from './api-stage.ts';
import type { RunningEntrepot } from './app.ts';
import { complaintsOf, openContext, type ViewOptions } from './browser.ts';

/** A server whose console is opened: a process, or one in the process of the test. */
type ConsoleServer = Pick<RunningEntrepot, 'url' | 'host' | 'dir'>;

export interface OpenOptions extends ViewOptions {
  /** Opens it as `entrepot console` does, with the right to change. @default true */
  readonly operator?: boolean;
  /** Below `/ui/`. @default the first view */
  readonly place?: string;
  /** Complaints of the page that the test provokes: a refused login, a server that stops. */
  readonly provokes?: readonly RegExp[];
}

/** The console in a browser of its own. It fails the test at its end where the page complained, or asked another host. */
export class ConsolePage implements AsyncDisposable {
  readonly page: Page;
  readonly context: BrowserContext;
  readonly #server: ConsoleServer;
  readonly #complaints: readonly string[];
  readonly #strangers: string[] = [];
  #areStrangersAllowed = false;
  readonly #provokes: readonly RegExp[];

  private constructor(server: ConsoleServer, context: BrowserContext, page: Page, provokes: readonly RegExp[]) {
    this.#server = server;
    this.context = context;
    this.page = page;
    this.#provokes = provokes;
    this.#complaints = complaintsOf(page);
    context.on('request', (request) => {
      const { host, protocol } = new URL(request.url());
      if (protocol.startsWith('http') && host !== server.host) this.#strangers.push(request.url());
    });
  }

  static async open(
    browser: Browser,
    server: ConsoleServer,
    { operator = true, place = '', provokes = [], ...view }: OpenOptions = {},
  ): Promise<ConsolePage> {
    const context = await openContext(browser, view);
    context.setDefaultTimeout(10_000);
    const page = await context.newPage();
    const opened = new ConsolePage(server, context, page, provokes);
    const { code } = operator ? await operate(server, OPERATIONS.console) : { code: undefined };
    await page.goto(`${server.url}/ui/${place}${code === undefined ? '' : `#code=${code}`}`);
    await page.getByRole('heading', { level: 1 }).waitFor();
    return opened;
  }

  /** Says that other pages of this browser ask other hosts, as the test wants them to. */
  allowStrangers(): void {
    this.#areStrangersAllowed = true;
  }

  /** Goes to a place below `/ui/`, as a link of another page does: the page is loaded again. */
  async goto(place: string): Promise<void> {
    await this.page.goto(`${this.#server.url}/ui/${place}`);
    await this.page.getByRole('heading', { level: 1 }).waitFor();
  }

  /** Waits until nothing is loading: no skeleton is left, and the last answers are drawn. */
  async settled(): Promise<void> {
    const skeleton = this.page.locator('.skeleton').first();
    do {
      await skeleton.waitFor({ state: 'detached' });
      // What was drawn may ask for more.
      await this.page.evaluate('new Promise((resolve) => requestAnimationFrame(() => requestAnimationFrame(resolve)))');
    } while (await skeleton.isVisible());
  }

  /** Goes to a view by the navigation. */
  async enter(view: string): Promise<void> {
    await this.page.getByRole('navigation', { name: 'Views' }).getByRole('link', { name: view }).click();
    await this.page.getByRole('heading', { level: 1, name: view }).waitFor();
  }

  heading(name: string): Locator {
    return this.page.getByRole('heading', { level: 1, name });
  }

  button(name: string | RegExp): Locator {
    return this.page.getByRole('button', { name });
  }

  dialog(name: string | RegExp): Locator {
    return this.page.getByRole('dialog', { name });
  }

  /** A part of a view, by its heading. */
  section(title: string): Locator {
    return this.page.locator('section').filter({ has: this.page.getByRole('heading', { name: title, exact: true }) });
  }

  /** A row of a table that names this. */
  row(name: string): Locator {
    return this.page.getByRole('row').filter({ hasText: name });
  }

  /** What stands behind a term in a list of facts. */
  fact(term: string): Locator {
    return this.page.locator(`dt:text-is("${term}") + dd`);
  }

  /** Waits for a message of the page, and dismisses it. */
  async told(text: string | RegExp): Promise<void> {
    const toast = this.page.locator('.toast').filter({ hasText: text }).first();
    await toast.waitFor();
    await toast.getByRole('button').click();
  }

  /** Reads the API as the page does, with its cookie. */
  async read<Answer>(path: string): Promise<Answer> {
    const answer = await this.context.request.get(`${this.#server.url}/api/v1/${path}`);
    assert.equal(answer.status(), 200, await answer.text());
    return (await answer.json()) as Answer;
  }

  /** Closes it, and asserts that it never complained and asked no other host. */
  async close(): Promise<void> {
    await this.context.close();
    const unexpected = this.#complaints.filter((text) => !this.#provokes.some((pattern) => pattern.test(text)));
    const strangers = this.#areStrangersAllowed ? [] : this.#strangers;
    assert.deepEqual({ complaints: unexpected, strangers }, { complaints: [], strangers: [] });
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close();
  }
}

/** Asserts again until it holds: what a page shows follows the server a moment later. */
export async function eventually(assertion: () => Promise<void>, { within = 15_000 } = {}): Promise<void> {
  const deadline = Date.now() + within;
  for (;;) {
    try {
      return await assertion();
    } catch (error) {
      if (Date.now() > deadline) throw error;
    }
    await sleep(20);
  }
}
