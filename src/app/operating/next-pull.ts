import type { UpstreamStatus } from '../../admin/index.ts';
import type { Outlook } from '../../cache/index.ts';
import type { Reference } from '../../oci/index.ts';

/** What decides how the next pull of an image is answered. Times are milliseconds since 1970. */
export interface NextPull {
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

/** What the next pull does, in one sentence. Pure. */
export function sayNextPull(next: NextPull): string {
  const { home, reference, state, outlook, keeps, now } = next;
  if (home === 'hosted') {
    return state === 'missing'
      ? 'The next pull fails: the image is hosted here, and was not pushed yet.'
      : 'The next pull is answered from this server, to which the image was pushed.';
  }
  const { hold, cooling, freshUntil } = outlook ?? {};
  const upstream = sayUpstream(next);
  if (hold !== undefined) {
    const end = hold.until === undefined ? '' : ` until ${timeOf(hold.until)}`;
    return `The next pull gets ${hold.digest}, at which the tag is held${end}; ${restOf(state, upstream)}.`;
  }
  if (!keeps || (reference.kind === 'tag' && outlook?.keepsManifests === false)) {
    const why = keeps ? 'manifests are not kept (cache.tags: never)' : 'the cache is off';
    return `The next pull asks ${upstream}, since ${why}.`;
  }
  if (outlook?.digest === undefined) {
    return `The next pull asks ${upstream} for the image, and stores what it gets.`;
  }
  if (reference.kind === 'digest')
    return `The next pull asks no upstream for the manifest; ${restOf(state, upstream)}.`;
  const isFresh = freshUntil !== undefined && now < freshUntil;
  const asks = isFresh
    ? `asks no upstream where the tag points, which is fresh until ${timeOf(freshUntil)}`
    : `asks ${upstream} whether the tag has moved`;
  if (cooling !== undefined && cooling.digest !== outlook.digest) {
    const served = `gets ${outlook.digest}, since ${cooling.digest} is younger than its cooldown until ${timeOf(cooling.until)}`;
    return `The next pull ${asks}, and ${served}; ${restOf(state, upstream)}.`;
  }
  return isFresh
    ? `The next pull ${asks}; ${restOf(state, upstream)}.`
    : `The next pull ${asks}; if it has not, ${restOf(state, upstream)}.`;
}

function restOf(state: NextPull['state'], upstream: string): string {
  if (state === 'stored') return 'every byte comes from this server';
  return state === 'partial'
    ? `what is stored comes from this server, and the rest from ${upstream}`
    : `its bytes come from ${upstream}`;
}

/** The upstream that is asked first, or that all of them are given a rest. */
function sayUpstream({ upstreams, now }: NextPull): string {
  const isResting = ({ health }: NextPull['upstreams'][number]): boolean =>
    health?.state === 'open' && health.scope === 'all' && (health.openUntil ?? Number.POSITIVE_INFINITY) > now;
  const [first] = upstreams;
  if (first === undefined) return 'an upstream, of which there is none';
  const asked = upstreams.find((each) => !isResting(each));
  if (asked === undefined) return `${first.name} (which failed a moment ago, and is asked again soon)`;
  return asked === first ? first.name : `${asked.name} (${first.name} failed a moment ago)`;
}

function timeOf(at: number): string {
  return new Date(at).toISOString();
}
