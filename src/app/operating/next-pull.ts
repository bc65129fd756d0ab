import type { ImageExplanation, UpstreamStatus } from '../../admin/index.ts';
import type { Outlook } from '../../cache/index.ts';
import type { Reference } from '../../oci/index.ts';

/** What decides how the next pull of an image is answered. Times are milliseconds since 1970. */
export interface NextPullFacts {
  readonly home: 'mirrored' | 'hosted';
  readonly reference: Reference;
  readonly state: 'stored' | 'partial' | 'missing';
  readonly outlook: Outlook | undefined;
  /** False with `cache: off`. */
  readonly keeps: boolean;
  /** In the order in which they are asked. */
  readonly upstreams: readonly { readonly name: string; readonly health?: UpstreamStatus }[];
  readonly now: number;
}

type NextPull = ImageExplanation['cache']['plan'];

/** What the next pull does. Pure. */
export function planNextPull(facts: NextPullFacts): NextPull {
  const { home, reference, state, outlook, keeps, now } = facts;
  if (home === 'hosted') return { kind: state === 'missing' ? 'not-pushed' : 'hosted' };
  const asks = askedFirst(facts);
  if (outlook?.hold !== undefined) return { kind: 'held', ...asks };
  if (!keeps) return { kind: 'cache-off', ...asks };
  if (reference.kind === 'tag' && outlook?.keepsManifests === false) return { kind: 'not-kept', ...asks };
  if (outlook?.digest === undefined) return { kind: 'fetch', ...asks };
  if (reference.kind === 'digest') return { kind: 'by-digest', ...asks };
  const { freshUntil, cooling, digest } = outlook;
  const isCooled = cooling !== undefined && cooling.digest !== digest;
  const kind = freshUntil !== undefined && now < freshUntil ? 'fresh' : 'ask';
  return { kind, ...asks, ...(isCooled && { cooled: true as const }) };
}

/** The upstream that is asked first, and the one before it that is given a rest. */
function askedFirst({ upstreams, now }: NextPullFacts): Pick<NextPull, 'upstream' | 'resting'> {
  const isResting = ({ health }: NextPullFacts['upstreams'][number]): boolean =>
    health?.state === 'open' && health.scope === 'all' && (health.openUntil ?? Number.POSITIVE_INFINITY) > now;
  const [first] = upstreams;
  if (first === undefined) return {};
  const asked = upstreams.find((each) => !isResting(each)) ?? first;
  return { upstream: asked.name, ...(isResting(first) && { resting: first.name }) };
}

/** The same in one sentence. Pure. */
export function sayNextPull(plan: NextPull, { state, outlook }: Pick<NextPullFacts, 'state' | 'outlook'>): string {
  const { hold, cooling, freshUntil = 0, digest = '' } = outlook ?? {};
  const upstream = sayUpstream(plan);
  const rest = restOf(state, upstream);
  const cooled = plan.cooled
    ? `, and gets ${digest}, since ${cooling?.digest} is younger than its cooldown until ${timeOf(cooling?.until ?? 0)}`
    : '';
  switch (plan.kind) {
    case 'hosted':
      return 'The next pull is answered from this server, to which the image was pushed.';
    case 'not-pushed':
      return 'The next pull fails: the image is hosted here, and was not pushed yet.';
    case 'held': {
      const end = hold?.until === undefined ? '' : ` until ${timeOf(hold.until)}`;
      return `The next pull gets ${digest}, at which the tag is held${end}; ${rest}.`;
    }
    case 'cache-off':
      return `The next pull asks ${upstream}, since the cache is off.`;
    case 'not-kept':
      return `The next pull asks ${upstream}, since manifests are not kept (cache.tags: never).`;
    case 'fetch':
      return `The next pull asks ${upstream} for the image, and stores what it gets.`;
    case 'by-digest':
      return `The next pull asks no upstream for the manifest; ${rest}.`;
    case 'fresh':
      return `The next pull asks no upstream where the tag points, which is fresh until ${timeOf(freshUntil)}${cooled}; ${rest}.`;
    case 'ask':
      return cooled === ''
        ? `The next pull asks ${upstream} whether the tag has moved; if it has not, ${rest}.`
        : `The next pull asks ${upstream} whether the tag has moved${cooled}; ${rest}.`;
  }
}

function restOf(state: NextPullFacts['state'], upstream: string): string {
  if (state === 'stored') return 'every byte comes from this server';
  return state === 'partial'
    ? `what is stored comes from this server, and the rest from ${upstream}`
    : `its bytes come from ${upstream}`;
}

function sayUpstream({ upstream, resting }: NextPull): string {
  if (upstream === undefined) return 'an upstream, of which there is none';
  if (resting === undefined) return upstream;
  return resting === upstream
    ? `${upstream} (which failed a moment ago, and is asked again soon)`
    : `${upstream} (${resting} failed a moment ago)`;
}

function timeOf(at: number): string {
  return new Date(at).toISOString();
}
