import { OPERATIONS, type RepositoryEntry, type TagListEntry } from '../../../admin/index.ts';
import { composeRegistries } from '../../../app/index.ts';
import { compileGlob } from '../../../lib/index.ts';
import { OciError } from '../../../oci/index.ts';
import { parseImagePattern } from '../../../routing/index.ts';
import type { CommandOptions } from '../../command.ts';
import { UsageError } from '../../errors.ts';
import { EXIT } from '../../exit-code.ts';
import { formatJson } from '../../format.ts';
import { type Output, processOutput } from '../../output.ts';
import { type Ask, runServerSession } from '../../server-command.ts';
import { formatImage, formatRepositories, formatTags, REPOSITORY_HEAD, TAG_HEAD } from './list-text.ts';
import { type InventoryContext, withOwnInventory } from './own-inventory.ts';
import { reasonOf } from './pin.ts';

/** The options of `entrepot list`. */
export interface ListOptions extends CommandOptions {
  /** An image, a repository, a registry or a pattern of repositories. @default all repositories */
  readonly pattern?: string;
  readonly home?: 'hosted' | 'mirrored';
  readonly registry?: string;
  /** Words that the name must hold. */
  readonly search?: string;
}

/** Entries asked for at a time. */
const REPOSITORIES_AT_ONCE = 500;
const TAGS_AT_ONCE = 100;

const WILD = /[*?]/;

/**
 * `entrepot list`: what is cached and hosted. Lists are printed page by page, and no more than a page of them is in memory.
 *
 * @returns the exit code: failure where nothing matches
 */
export function list(options: ListOptions, output: Output = processOutput): Promise<number> {
  const { flags, json = false, pattern, search } = options;
  return runServerSession<InventoryContext>(
    {
      flags,
      alone: withOwnInventory,
      async work(ask, { config }) {
        const shown = { ask, json, output };
        try {
          if (pattern === undefined) return await showRepositories(options, shown);
          const { text, repository, tag, digest } = parseImagePattern(composeRegistries(config), pattern);
          if (repository === undefined) {
            throw new UsageError(`${text} is a digest alone; name its repository: docker.io/library/nginx@${text}`);
          }
          const isPattern = WILD.test(repository);
          if (isPattern && (tag !== undefined || digest !== undefined)) {
            throw new UsageError(`${text} is an image of many repositories; name one repository`);
          }
          if (isPattern) return await showRepositories({ ...options, pattern: repository }, shown);
          if (options.home !== undefined || options.registry !== undefined) {
            throw new UsageError('--home and --registry choose among repositories; leave them out where one is named');
          }
          if (digest === undefined && (tag === undefined || WILD.test(tag))) {
            return await showTags({ repository, tags: tag, search }, shown);
          }
          if (search !== undefined) throw new UsageError('--search chooses from a list; leave it out for one image');
          const answer = await ask(OPERATIONS.image, { image: text });
          output.out(json ? formatJson(answer) : formatImage(answer));
          return EXIT.ok;
        } catch (error) {
          const reason = error instanceof OciError ? error.message : reasonOf(error);
          if (reason === undefined) throw error;
          output.err(`${reason}\n`);
          return EXIT.failure;
        }
      },
    },
    output,
  );
}

interface Shown {
  readonly ask: Ask<InventoryContext>;
  readonly json: boolean;
  readonly output: Output;
}

async function showRepositories(
  { pattern, home, registry, search }: Omit<ListOptions, 'flags'>,
  { ask, json, output }: Shown,
): Promise<number> {
  const matches = compileGlob(pattern ?? '**');
  // What a pattern spells out is in every name that it matches: the server looks for it first.
  const spelled = (pattern ?? '').split(/[*?/]+/).filter((part) => part !== '');
  const words = [...(search === undefined ? [] : [search]), ...spelled.map((part) => part.slice(0, 100))];
  const printer = new Printer<RepositoryEntry>({
    output,
    json,
    head: `{\n  "repositories": [`,
    titles: REPOSITORY_HEAD,
    format: formatRepositories,
  });
  for (let after: string | undefined; ; ) {
    const { repositories, next } = await ask(OPERATIONS.repositories, {
      limit: REPOSITORIES_AT_ONCE,
      after,
      home,
      registry,
      ...(words.length === 0 ? {} : { search: words.join(' ').slice(0, 300) }),
    });
    printer.add(repositories.filter((each) => matches(`${each.registry}/${each.repository}`)));
    if (next === undefined) break;
    after = next;
  }
  const isChosen = pattern !== undefined || home !== undefined || registry !== undefined || search !== undefined;
  return printer.end(
    isChosen
      ? 'Nothing that is cached or hosted matches.'
      : 'Nothing is cached or hosted yet. Pull an image through this server, or push one to it.',
  );
}

async function showTags(
  {
    repository,
    tags: pattern = '**',
    search,
  }: { repository: string; tags: string | undefined; search: string | undefined },
  { ask, json, output }: Shown,
): Promise<number> {
  const matches = compileGlob(pattern);
  let printer: Printer<TagListEntry> | undefined;
  for (let after: string | undefined; ; ) {
    const { image, home, tags, next } = await ask(OPERATIONS.tagList, {
      image: repository,
      limit: TAGS_AT_ONCE,
      after,
      search,
    });
    printer ??= new Printer<TagListEntry>({
      output,
      json,
      head: `{\n  "image": ${JSON.stringify(image)},\n  "home": ${JSON.stringify(home)},\n  "tags": [`,
      titles: TAG_HEAD,
      format: formatTags,
    });
    printer.add(pattern === '**' ? tags : tags.filter(({ tag }) => tag !== '' && matches(tag)));
    if (next === undefined) break;
    after = next;
  }
  return printer.end(`No image of ${repository} that is cached or hosted matches.`);
}

interface PrinterOptions<Entry> {
  readonly output: Output;
  readonly json: boolean;
  /** What the JSON document begins with, up to its list. */
  readonly head: string;
  readonly titles: string;
  readonly format: (entries: readonly Entry[]) => readonly string[];
}

/** Prints a long list as it comes: a table, or one JSON document. Nothing is printed before the first answer. */
class Printer<Entry> {
  readonly #options: PrinterOptions<Entry>;
  #count = 0;

  constructor(options: PrinterOptions<Entry>) {
    this.#options = options;
  }

  add(entries: readonly Entry[]): void {
    const { output, json, head, titles, format } = this.#options;
    if (entries.length === 0) return;
    if (json) {
      const first = this.#count === 0 ? head : ',';
      output.out(`${first}${entries.map((each) => `\n    ${JSON.stringify(each)}`).join(',')}`);
    } else {
      output.out([...(this.#count === 0 ? [titles] : []), ...format(entries), ''].join('\n'));
    }
    this.#count += entries.length;
  }

  /** @param nothing what is said where the list is empty */
  end(nothing: string): number {
    const { output, json, head } = this.#options;
    if (json) output.out(this.#count === 0 ? `${head}]\n}\n` : '\n  ]\n}\n');
    if (this.#count > 0) return EXIT.ok;
    output.err(`${nothing}\n`);
    return EXIT.failure;
  }
}
