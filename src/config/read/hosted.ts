import { globsMeet } from '../../lib/index.ts';
import type { Config } from '../schema/index.ts';
import { optionName } from '../schema/index.ts';
import type { Path } from '../tree.ts';

type Say = (path: Path, message: string) => void;
type RegistryConfig = Config['registries'][string];

/** Whether every repository of a registry is pushed here, so that it needs no upstream. */
export function isAllHosted({ hosted = [] }: RegistryConfig): boolean {
  return hosted.includes('**');
}

/** Problems of repositories that are pushed to. Pure. */
export function checkHosting({ registries, cache }: Config, report: Say): void {
  for (const [name, registry] of Object.entries(registries)) {
    const { hosted = [], push, upstreams } = registry;
    const path = ['registries', name];
    if (isAllHosted(registry) && upstreams !== undefined) {
      report(
        [...path, 'hosted'],
        'found it for every repository beside upstreams, expected one of the two: what is hosted is never asked of an upstream; for some repositories write hosted: [acme/**]',
      );
    }
    if (cache === 'off' && hosted.length > 0) {
      report(
        [...path, 'hosted'],
        'found it with cache: off, expected a cache: what is pushed is kept under cache.dir; write cache: {dir: /var/lib/entrepot}',
      );
    }
    for (const [at, text] of push.entries()) {
      const both = hosted.find((other) => globsMeet(other, text));
      if (both === undefined) continue;
      report(
        [...path, 'push', at],
        `found ${text}, expected no repositories of hosted: ${both} has some of them, and a push has one home; narrow one of the two`,
      );
    }
  }
}

/** Actions that change a repository or the server. */
const WRITING: ReadonlySet<string> = new Set(['push', 'delete', 'admin']);

/** Rules of access that could let a client push that shows no credential. */
export function checkWritingRules({ access }: Config, report: Say): void {
  for (const [at, { who, may }] of (access?.rules ?? []).entries()) {
    if (!who.includes('anonymous')) continue;
    for (const [index, action] of may.entries()) {
      if (!WRITING.has(action)) continue;
      report(
        ['access', 'rules', at, 'may', index],
        `found ${action} for anonymous, expected users, tokens or groups: only a client that is logged in may ${action}; name who may in a rule of its own, such as {who: alice, may: [pull, push], on: [apps/**]}`,
      );
    }
  }
}

/** Settings of hosting without effect, and what is hosted without a client that may push, or a schedule that copies. Pure. */
export function noteHosting({ registries, access, copy }: Config, note: Say): void {
  let first: Path | undefined;
  for (const [name, registry] of Object.entries(registries)) {
    const { hosted = [], push } = registry;
    const path = ['registries', name];
    if (hosted.length + push.length > 0) first ??= [...path, hosted.length > 0 ? 'hosted' : 'push'];
    if (hosted.length > 0) continue;
    for (const key of KEPT) {
      // What is pushed through has tags here too.
      if (!isSet(registry, key) || (key === 'immutableTags' && push.length > 0)) continue;
      note(
        [...path, optionName(key)],
        `without effect: it is for repositories that are hosted, and ${name} hosts none. Set hosted, or leave it out`,
      );
    }
  }
  if (first === undefined || access !== undefined || copy.length > 0) return;
  note(
    first,
    'every push is refused: only a client that is logged in may push, and without access: none can log in. ' +
      'Add a user with `entrepot users add`, and a rule such as access: {rules: [{who: alice, may: [pull, push], on: [apps/**]}]}',
  );
}

const KEPT = ['immutableTags', 'quota', 'sparse', 'keepUntagged'] as const;

function isSet(registry: RegistryConfig, key: (typeof KEPT)[number]): boolean {
  const value = registry[key];
  return Array.isArray(value) ? value.length > 0 : value !== undefined && value !== false;
}
