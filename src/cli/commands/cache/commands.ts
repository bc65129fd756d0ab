import { type Command, Option } from 'commander';
import { type CommandContext, optionsOf, serverFlags } from '../../command.ts';
import type { GcOptions } from './gc.ts';
import type { ImageOptions } from './history.ts';
import type { ListOptions } from './list.ts';
import type { ImagesOptions } from './pin.ts';
import type { PurgeCommandOptions } from './purge.ts';
import type { RefreshOptions } from './refresh.ts';
import type { RollbackOptions } from './rollback.ts';
import type { ScrubCommandOptions } from './scrub.ts';

/** The functions that the commands on the cache run. Each is imported when it runs, so that `--help` stays quick. */
export const cacheActions = {
  list: async (options: ListOptions) => (await import('./list.ts')).list(options),
  pin: async (options: ImagesOptions) => (await import('./pin.ts')).pin(options),
  unpin: async (options: ImagesOptions) => (await import('./pin.ts')).unpin(options),
  gc: async (options: GcOptions) => (await import('./gc.ts')).gc(options),
  scrub: async (options: ScrubCommandOptions) => (await import('./scrub.ts')).scrub(options),
  purge: async (options: PurgeCommandOptions) => (await import('./purge.ts')).purge(options),
  refresh: async (options: RefreshOptions) => (await import('./refresh.ts')).refresh(options),
  history: async (options: ImageOptions) => (await import('./history.ts')).history(options),
  rollback: async (options: RollbackOptions) => (await import('./rollback.ts')).rollback(options),
  unhold: async (options: ImageOptions) => (await import('./unhold.ts')).unhold(options),
};
export type CacheActions = typeof cacheActions;

/** Defines `list`, `pin`, `unpin`, `gc`, `scrub`, `purge`, `refresh`, `history`, `rollback` and `unhold`. */
export function addCacheCommands(program: Command, { actions, finish }: CommandContext<CacheActions>): void {
  serverFlags(program.command('list'))
    .argument('[pattern]', 'registry, repository, image or pattern; * within one component, ** across')
    .description('List what is cached and hosted: repositories, the tags of one, or the parts of an image.')
    .addOption(new Option('--home <home>', 'only repositories that are hosted here, or mirrored').choices(HOMES))
    .option('--registry <name>', 'only repositories of this registry')
    .option('--search <words>', 'only names that hold these words, in any order')
    .addHelpText('after', LIST_EXAMPLES)
    .action(async (pattern: string | undefined, _, command: Command) =>
      finish(await actions.list({ ...optionsOf(command), ...(pattern === undefined ? {} : { pattern }) })),
    );
  serverFlags(program.command('pin'))
    .argument('<image...>', 'image:tag; without a tag, latest')
    .description('Keep the images of tags from eviction.')
    .addHelpText('after', PIN_EXAMPLES)
    .action(async (images: string[], _, command: Command) =>
      finish(await actions.pin({ ...optionsOf(command), images })),
    );
  serverFlags(program.command('unpin'))
    .argument('<image...>', 'image:tag; without a tag, latest')
    .description('End the pins of tags, so that their images may be evicted.')
    .addHelpText('after', UNPIN_EXAMPLES)
    .action(async (images: string[], _, command: Command) =>
      finish(await actions.unpin({ ...optionsOf(command), images })),
    );
  serverFlags(program.command('gc'))
    .description('Evict blobs down to the size limits, least recently read first, or show what would be evicted.')
    .option('--dry-run', 'show what would be evicted, and evict nothing')
    .option('--max-size <size>', 'evict down to this size (20GB) instead of the configured limits')
    .addHelpText('after', GC_EXAMPLES)
    .action(async (_, command: Command) => finish(await actions.gc(optionsOf(command))));
  serverFlags(program.command('scrub'))
    .description('Check every stored blob against its digest, and move corrupt ones to quarantine.')
    .option('--stop', 'stop the running scrub')
    .addHelpText('after', SCRUB_EXAMPLES)
    .action(async (_, command: Command) => finish(await actions.scrub(optionsOf(command))));
  serverFlags(program.command('purge'))
    .argument(
      '<pattern...>',
      'image, image:tag, image@digest, digest or mirror:route/path; * within one component, ** across',
    )
    .description('Forget images, tags, digests or answers of mirrored sites, and remove blobs that only they have.')
    .option('--dry-run', 'show what would be forgotten, and forget nothing')
    .addHelpText('after', PURGE_EXAMPLES)
    .action(async (patterns: string[], _, command: Command) =>
      finish(await actions.purge({ ...optionsOf(command), patterns })),
    );
  serverFlags(program.command('refresh'))
    .argument('<pattern...>', 'image or image:tag; * within one component, ** across')
    .description('Ask the upstreams for the current digests of tags, and fetch the manifests that moved.')
    .addHelpText('after', REFRESH_EXAMPLES)
    .action(async (patterns: string[], _, command: Command) =>
      finish(await actions.refresh({ ...optionsOf(command), patterns })),
    );
  serverFlags(program.command('history'))
    .argument('<image>', 'image or image:tag; * within one component, ** across')
    .description('Show where tags pointed, newest first, and which digests are still stored.')
    .addHelpText('after', HISTORY_EXAMPLES)
    .action(async (image: string, _, command: Command) =>
      finish(await actions.history({ ...optionsOf(command), image })),
    );
  serverFlags(program.command('rollback'))
    .argument('<image>', 'image:tag@digest; without a tag, latest')
    .description('Hold a tag at a digest that it pointed to, whatever its upstream says.')
    .option('--until <duration>', 'how long from now, such as 12h or 7d (default: until `entrepot unhold`)')
    .option('--reason <text>', 'shown to operators, and to clients in the Warning header')
    .addHelpText('after', ROLLBACK_EXAMPLES)
    .action(async (image: string, _, command: Command) =>
      finish(await actions.rollback({ ...optionsOf(command), image })),
    );
  serverFlags(program.command('unhold'))
    .argument('<image>', 'image:tag; without a tag, latest')
    .description('End the hold of a tag, so that it follows its upstream again.')
    .addHelpText('after', UNHOLD_EXAMPLES)
    .action(async (image: string, _, command: Command) =>
      finish(await actions.unhold({ ...optionsOf(command), image })),
    );
}

const HOMES = ['hosted', 'mirrored'];

const LIST_EXAMPLES = `
Examples:
  entrepot list                                    every repository
  entrepot list ghcr.io                            those of a registry
  entrepot list 'ghcr.io/owner/*' --home mirrored
  entrepot list --search 'nginx proxy'
  entrepot list nginx                              the tags of docker.io/library/nginx
  entrepot list 'nginx:1.2?'
  entrepot list nginx:1.27                         its platforms, layers and signatures, and what of them is stored
  entrepot list nginx --json                       one JSON document with digests, media types and times

Tags come in the order of their versions, then images without a tag by digest. SIZE is of all platforms together, and ? where
that is not known, as not every manifest is stored. STORED is all where every byte is here: platforms that cache.platforms leaves
out do not count. PLATFORMS are those that are stored whole, and of how many; amd64 is linux/amd64. KEPT: held by
\`entrepot rollback\`, or pinned by \`entrepot pin\` or cache.pin. No upstream is asked. Exit code 1: nothing matches.`;

const PIN_EXAMPLES = `
Examples:
  entrepot pin nginx:1.27 ghcr.io/owner/app:2

The tag still follows its upstream, and the image that it points to stays in the cache. It takes an image that is cached; for
tags that are not pulled yet, set a pattern under cache.pin. A purge removes a pinned tag, and its pin with it. What is hosted is
never evicted, so it is not pinned. Exit code 1: one of the tags cannot be pinned.`;

const UNPIN_EXAMPLES = `
Examples:
  entrepot unpin nginx:1.27

\`entrepot list nginx\` shows what is pinned. A pattern under cache.pin is not ended by it. Exit code 1: one of the tags is not
pinned.`;

const GC_EXAMPLES = `
Examples:
  entrepot gc --dry-run                            show what would be evicted, and from which repositories
  entrepot gc --max-size 20GB                      evict down to 20 GB, whatever the configuration says

Blobs that are in use, pinned (cache.pin) or have a fresh tag stay. The running server evicts. If none runs, the command
does it itself. Hosted repositories are collected too: what nothing names and was not used for a day goes, as it does every ten
minutes. With --dry-run they are not looked at.`;

const SCRUB_EXAMPLES = `
Examples:
  entrepot scrub                                   show the progress; Ctrl-C leaves the scrub to the server
  entrepot scrub --stop
  entrepot scrub --json                            print the corrupt and missing blobs as JSON

The running server scrubs while it serves. If none runs, the command scrubs itself. Corrupt and missing blobs are fetched
again on the next request for them. Hosted ones are named with their repositories: no upstream has them, so push them again, or
restore a backup. Exit code 1: a blob was corrupt or missing, or not every blob could be checked.`;

const PURGE_EXAMPLES = `
Examples:
  entrepot purge nginx                             docker.io/library/nginx, every tag of it
  entrepot purge ghcr.io/owner/app:1.2 'ghcr.io/owner/*:test-*'
  entrepot purge sha256:9f86d081884c7d65…          one digest, in every repository
  entrepot purge ghcr.io --dry-run                 everything of a registry
  entrepot purge mirror:github 'mirror:hf/org/**'  answers of mirrored sites: of a route, of paths at the site

Running pulls finish undisturbed. What is hosted here stays: delete it as a client (crane delete IMAGE@sha256:…). Exit code 1:
no pattern matched, or one names a hosted repository.`;

const REFRESH_EXAMPLES = `
Examples:
  entrepot refresh nginx:latest
  entrepot refresh 'ghcr.io/owner/**'              every cached tag

A server must be running. Exit code 1: a tag could not be refreshed, or no pattern matched.`;

const HISTORY_EXAMPLES = `
Examples:
  entrepot history nginx:1.27
  entrepot history ghcr.io/owner/app               every tag of the image
  entrepot history nginx:1.27 --json               with media types, sizes and times in milliseconds

STORED: all, the manifest and some of its parts, or no. An index names the images of every platform; those that no client
has pulled are not stored. At most 100 moves of a tag are kept. Of a hosted tag, the last 1000 moves and deletions are listed,
with who made them. Exit code 1: nothing is recorded of the image.`;

const ROLLBACK_EXAMPLES = `
Examples:
  entrepot rollback nginx:1.27@sha256:9f86d081884c7d65… --until 7d --reason 'the new one does not start'

The tag then answers with this digest, also while its upstream is down, with a Warning header that names the hold. What is
held is not evicted and not purged. The digest must be one that \`entrepot history\` lists. Its manifest is fetched from the
upstream if it is not stored, which needs a running server. A hosted tag is moved back, and the next push moves it again: it
takes neither --until nor --reason. Exit code 1: the tag never pointed there, it is immutable, or the manifest is gone or cannot
be fetched.`;

const UNHOLD_EXAMPLES = `
Examples:
  entrepot unhold nginx:1.27

\`entrepot status\` lists the held tags. Exit code 1: the tag is not held.`;
