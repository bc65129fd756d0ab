import { globSync } from 'node:fs';
import { readdir } from 'node:fs/promises';
import { basename, join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { loadHostedStore } from '../../../src/store/index.ts';
import type { RunningEntrepot } from '../../support/app.ts';
import { basic, htpasswdOf } from '../../support/logins.ts';
import type { Stage } from './stage.ts';

/** A server that hosts `apps` and `brief`, in one directory over all its lives. */
export class HostedServer {
  readonly dir: string;
  readonly #stage: Stage;
  readonly #env: NodeJS.ProcessEnv;
  readonly #users: readonly string[];
  #running: RunningEntrepot | undefined;
  #lives = 0;
  #kills = 0;
  #up = Promise.withResolvers<void>();
  #isUp = false;

  /** @param options `users`: who may push, to every repository */
  constructor(
    stage: Stage,
    { users, env = {}, name = 'hosted' }: { users: readonly string[]; env?: NodeJS.ProcessEnv; name?: string },
  ) {
    this.#stage = stage;
    this.#users = users;
    this.#env = env;
    this.dir = stage.workspace.path(name);
  }

  /** `127.0.0.1:PORT` of this life, or of the one before where none runs. */
  get host(): string {
    return this.#running?.host ?? '';
  }

  /** How many processes there were. */
  get lives(): number {
    return this.#lives;
  }

  /** How often it was told to die: a connection that is lost while this stays the same was lost for no reason. */
  get kills(): number {
    return this.#kills;
  }

  get isUp(): boolean {
    return this.#isUp;
  }

  /** Resolves when one runs. */
  becomesUp(): Promise<void> {
    return this.#up.promise;
  }

  login(user: string): Record<string, string> {
    return basic(user);
  }

  async start(env: NodeJS.ProcessEnv = {}): Promise<void> {
    const { workspace } = this.#stage;
    const htpasswd = await workspace.file('htpasswd', htpasswdOf(...this.#users));
    const on = ['apps/**', 'brief/**'];
    const config = {
      registries: { apps: { hosted: true }, brief: { hosted: true, keep_untagged: '1h' } },
      access: { htpasswd, rules: [{ who: this.#users, may: ['pull', 'push', 'delete', 'catalog'], on }] },
    };
    this.#running = await this.#stage.server(
      { url: 'http://127.0.0.1:1' },
      { log: { level: 'info', format: 'json', access: false }, ...config },
      { dir: this.dir, env: { ...this.#env, ...env } },
    );
    this.#lives += 1;
    this.#isUp = true;
    this.#up.resolve();
  }

  /** SIGKILL: no handler, no flush. */
  async kill(): Promise<void> {
    this.killNow();
    await this.#running?.process.exited;
  }

  /** Sends SIGKILL, and does not wait. */
  killNow(): void {
    this.#kills += 1;
    if (this.#isUp) this.#up = Promise.withResolvers();
    this.#isUp = false;
    this.#running?.process.kill('SIGKILL');
  }

  /** Whether it ends by itself within so many milliseconds. */
  async dies(within: number): Promise<boolean> {
    const ended = await Promise.race([this.#running?.process.exited.then(() => true), sleep(within, false)]);
    return ended === true;
  }

  async stop(): Promise<number> {
    if (this.#isUp) this.#up = Promise.withResolvers();
    this.#isUp = false;
    return (await this.#running?.stop()) ?? 0;
  }

  /** Records and files that collections of this life removed, and what it warned of. */
  said(): { readonly collected: number; readonly warnings: readonly string[] } {
    const lines = this.#running?.logs() ?? [];
    const collected = lines.filter(({ msg }) => msg === 'hosted.collected');
    return {
      collected: collected.reduce((sum, line) => sum + Number(line['records']) + Number(line['files']), 0),
      warnings: lines.filter(({ level }) => level === 'error' || level === 'warn').map((line) => JSON.stringify(line)),
    };
  }
}

/** All that lies in the directory of a server that is stopped. */
export interface Inventory {
  /** Digests of files. */
  readonly files: ReadonlySet<string>;
  /** `apps/web sha256:…`: each blob and manifest of the records. */
  readonly records: ReadonlySet<string>;
  /** The same of the links in the OCI layouts, by the name of their directory. */
  readonly links: ReadonlySet<string>;
  /** Uploads, growing files, drafts: whatever has not ended. */
  readonly unfinished: readonly string[];
}

const PAGE = 1000;

export async function inventoryOf(dir: string): Promise<Inventory> {
  const hosted = join(dir, 'hosted');
  const digests = (pattern: string): string[] =>
    globSync(pattern, { cwd: hosted }).map((path) => `${path.split('/').at(-3)}:${basename(path)}`);
  const unfinished = await Promise.all(
    ['uploads', 'ingest'].map(async (each) => (await readdir(join(hosted, each))).map((name) => `${each}/${name}`)),
  );
  const { openHostedStore } = await loadHostedStore();
  const store = await openHostedStore(join(hosted, 'hosted.db'));
  const records = new Set<string>();
  try {
    for (const repository of await store.listRepositories({ limit: PAGE })) {
      const name = `${repository.registry}/${repository.repository}`;
      for (const list of ['listBlobs', 'listManifests'] as const) {
        for (let page = await store[list](repository, { limit: PAGE }); page.length > 0; ) {
          for (const { digest } of page) records.add(`${name} ${digest}`);
          const after = page.at(-1)?.digest;
          page = await store[list](repository, { after, limit: PAGE });
        }
      }
    }
  } finally {
    await store.close();
  }
  const links = globSync('repositories/*/blobs/*/*', { cwd: hosted }).map((path) => {
    const [, name = '', , algorithm = '', hex = ''] = path.split('/');
    return `${name.replaceAll('+2F', '/')} ${algorithm}:${hex}`;
  });
  return {
    files: new Set(digests('blobs/*/*/*')),
    records,
    links: new Set(links),
    unfinished: [...unfinished.flat(), ...globSync('repositories/**/*.new', { cwd: hosted })],
  };
}

/** What only the first has, as a miss says it; undefined where there is none. */
export function onlyIn(what: string, found: ReadonlySet<string>, other: ReadonlySet<string>): string | undefined {
  const more = [...found].filter((each) => !other.has(each));
  return more.length === 0 ? undefined : `${more.length} ${what}, such as ${more.slice(0, 2).join(', ')}`;
}
