import type { World } from './access-rules.ts';
import type { Chances } from './hostile.ts';
import type { TestImage } from './image.ts';
import type { PushUpstream } from './push-upstream.ts';
import type { ScriptedUpstream } from './scripted-upstream.ts';

// The repositories and rules of the model of hosting.

/** Of this server at its upstreams. */
export const CREDENTIALS = { username: 'server', password: 'canary-password' };
export const PASSWORD = 'correct horse';
export const USERS = ['alice', 'bob', 'carol'];
/** What may do everything, before the requests and after them. */
export const WARM = 'warm';
export const HERE = [
  'apps/team/web',
  'apps/team/api',
  'apps/acme/lib',
  'ghcr.io/acme/own',
  'ghcr.io/acme/ours/tool',
  // Nothing is in it at first.
  'apps/never/there',
];
export const THROUGH = ['passed/ours/app', 'passed/ours/tool'];
export const MIRRORED = ['ghcr.io/acme/open', 'ghcr.io/acme/closed', 'passed/theirs/app'];
export const TAGS = ['latest', 'dev', 'v1', 'v2'];
export const PATTERNS = [
  '**',
  'apps/**',
  'apps/team/*',
  'apps/team/web',
  'apps/team/?pi',
  '*/acme/*',
  'apps/acme/lib',
  'ghcr.io/acme/**',
  'ghcr.io/acme/closed',
  'ghcr.io/acme/open',
  'ghcr.io/acme/own',
  'passed/**',
  'passed/ours/app',
];
export const ACTIONS = ['pull', 'push', 'delete', 'catalog'] as const;

export interface Setting {
  readonly mirrored: ScriptedUpstream;
  readonly passed: PushUpstream;
  /** Of `ghcr.io/acme/open`, which is public, and `ghcr.io/acme/closed`. */
  readonly open: TestImage;
  readonly closed: TestImage;
  readonly seed: number;
}

/** The configuration of one world. */
export function configOf({ mirrored, passed }: Setting, rules: readonly object[], groups: World['groups'] = {}) {
  const token_realms = [new URL(mirrored.realm).host];
  return {
    default_registry: 'apps',
    registries: {
      apps: { hosted: true, immutable_tags: ['v*'] },
      'ghcr.io': {
        hosted: ['acme/own', 'acme/ours/**'],
        upstreams: [{ url: mirrored.url, credentials: CREDENTIALS, token_realms }],
      },
      passed: { push: ['ours/**'], upstreams: [{ url: passed.url, credentials: CREDENTIALS }] },
    },
    cache: { tags: { fresh_for: '0s' } },
    access: { rules, groups },
  };
}

/** Rules that allow some of it to some. */
export function drawRules(random: Chances): Pick<World, 'rules' | 'groups'> {
  const who = [...USERS, '@team', '@robots', 'token:t0', 'token:t1', 'anonymous'];
  const rules = Array.from({ length: 4 + random.below(6) }, () => {
    const first = random.of(who);
    const isForAll = first === 'anonymous';
    const drawn = ACTIONS.filter(
      (action) => random.below(3) > 0 && !(isForAll && (action === 'push' || action === 'delete')),
    );
    const on = PATTERNS.filter(() => random.below(3) === 0);
    const others = who.filter((name) => name !== 'anonymous');
    return {
      who: [first, ...(random.below(3) === 0 ? [random.of(isForAll ? who : others)] : [])],
      may: drawn.length === 0 ? (['pull'] as const) : drawn,
      on: on.length === 0 ? [random.of(PATTERNS)] : on,
      private: random.below(3) === 0,
    };
  });
  return { rules, groups: { team: ['alice', 'token:t2'], robots: ['token:t0', 'token:t3', 'bob'] } };
}
