import type { Command } from 'commander';
import { type CommandContext, cacheFlags, flagsOf } from '../../command.ts';
import type { GcOptions } from './gc.ts';
import type { PurgeCommandOptions } from './purge.ts';
import type { RefreshOptions } from './refresh.ts';
import type { ScrubCommandOptions } from './scrub.ts';

/** What the commands on the cache do. */
export interface CacheActions {
  readonly gc: (options: GcOptions) => Promise<number>;
  readonly scrub: (options: ScrubCommandOptions) => Promise<number>;
  readonly purge: (options: PurgeCommandOptions) => Promise<number>;
  readonly refresh: (options: RefreshOptions) => Promise<number>;
}

/** Each is imported when it is asked for: help and checks stay quick. */
export const cacheActions: CacheActions = {
  gc: async (options) => (await import('./gc.ts')).gc(options),
  scrub: async (options) => (await import('./scrub.ts')).scrub(options),
  purge: async (options) => (await import('./purge.ts')).purge(options),
  refresh: async (options) => (await import('./refresh.ts')).refresh(options),
};

/** Defines `gc`, `scrub`, `purge` and `refresh`. */
export function addCacheCommands(program: Command, { actions, finish }: CommandContext<CacheActions>): void {
  cacheFlags(program.command('gc'))
    .description('Evict what the cache may not hold, what was read longest ago first, or show what would go.')
    .option('--dry-run', 'show what would go, and leave it')
    .option('--max-size <size>', 'come down to this much (20GB) instead of the configured limits')
    .addHelpText('after', GC_EXAMPLES)
    .action(async (options: { json?: boolean; dryRun?: boolean; maxSize?: string }, command: Command) => {
      const { json = false, dryRun = false, maxSize } = options;
      const asked = { flags: flagsOf(command), json, dryRun };
      finish(await actions.gc({ ...asked, ...(maxSize === undefined ? {} : { maxSize }) }));
    });
  cacheFlags(program.command('scrub'))
    .description('Check everything that is stored, and put what is wrong into quarantine.')
    .option('--stop', 'end the one that runs')
    .addHelpText('after', SCRUB_EXAMPLES)
    .action(async (options: { json?: boolean; stop?: boolean }, command: Command) => {
      const { json = false, stop = false } = options;
      finish(await actions.scrub({ flags: flagsOf(command), json, stop }));
    });
  cacheFlags(program.command('purge'))
    .argument(
      '<pattern...>',
      'image, image:tag, image@digest, digest or mirror:route/path; * within one component, ** across',
    )
    .description('Forget images, tags, digests or answers of mirrored sites, and remove what nobody else has.')
    .option('--dry-run', 'show what would be forgotten, and leave it')
    .addHelpText('after', PURGE_EXAMPLES)
    .action(async (patterns: string[], options: { json?: boolean; dryRun?: boolean }, command: Command) => {
      const { json = false, dryRun = false } = options;
      finish(await actions.purge({ flags: flagsOf(command), json, dryRun, patterns }));
    });
  cacheFlags(program.command('refresh'))
    .argument('<pattern...>', 'image or image:tag; * within one component, ** across')
    .description('Ask now where tags point, and fetch the manifests of those that moved.')
    .addHelpText('after', REFRESH_EXAMPLES)
    .action(async (patterns: string[], options: { json?: boolean }, command: Command) => {
      finish(await actions.refresh({ flags: flagsOf(command), json: options.json === true, patterns }));
    });
}

const GC_EXAMPLES = `
Examples:
  entrepot gc --dry-run                            what would go, and whose it is
  entrepot gc --max-size 20GB                      come down to 20 GB, whatever the configuration says

What is in use, pinned (cache.pin) or of a fresh tag is left. The running server does it; where none runs, the command.`;

const SCRUB_EXAMPLES = `
Examples:
  entrepot scrub                                   with progress; Ctrl-C leaves the server to it
  entrepot scrub --stop
  entrepot scrub --json                            what was wrong, for programs

The running server does it, beside everything else; where none runs, the command. What is wrong is fetched again when
it is asked for. Exit code 1: something was wrong, or not everything could be checked.`;

const PURGE_EXAMPLES = `
Examples:
  entrepot purge nginx                             docker.io/library/nginx, every tag of it
  entrepot purge ghcr.io/owner/app:1.2 'ghcr.io/owner/*:test-*'
  entrepot purge sha256:9f86d081884c7d65…          one digest, wherever it is
  entrepot purge ghcr.io --dry-run                 everything of a registry
  entrepot purge mirror:github 'mirror:hf/org/**'  answers of mirrored sites: of a route, of paths at the site

Pulls under way are not disturbed. Exit code 1: nothing fitted.`;

const REFRESH_EXAMPLES = `
Examples:
  entrepot refresh nginx:latest
  entrepot refresh 'ghcr.io/owner/**'              every tag that is known

It takes a running server. Exit code 1: a tag could not be refreshed, or none fitted.`;
