import type { Caller, LiveEvent } from '../../admin/index.ts';
import type { Repository } from '../../oci/index.ts';

/** What a client may see of an event: the event, less than it, or nothing. */
export type Shown = LiveEvent | undefined;

/** The part of an event that a caller may see. No repository is named that it may not pull from. */
export function shownTo(event: LiveEvent, caller: Caller): Shown | Promise<Shown> {
  if (caller.seesAll) return event;
  switch (event.kind) {
    case 'pull':
    case 'transfer':
    case 'transfer.ended':
    case 'tag':
      return shownIf(caller.sees(event.data), event);
    case 'warm':
      return shownJob(event, caller);
    case 'reloaded':
      // Problems quote the configuration.
      return event.data.problems.length === 0 ? event : { kind: event.kind, data: { ...event.data, problems: [] } };
    default:
      return event;
  }
}

function shownIf(isSeen: boolean | Promise<boolean>, event: LiveEvent): Shown | Promise<Shown> {
  if (typeof isSeen === 'boolean') return isSeen ? event : undefined;
  return isSeen.then((seen) => (seen ? event : undefined));
}

/** A job with the images that a caller may see; where that are not all, its numbers are theirs. */
async function shownJob(event: LiveEvent & { readonly kind: 'warm' }, caller: Caller): Promise<Shown> {
  const { images } = event.data;
  const seen = await Promise.all(images.map(async ({ image }) => caller.sees(repositoryOf(image))));
  const shown = images.filter((_, at) => seen[at] === true);
  if (shown.length === images.length) return event;
  if (shown.length === 0) return undefined;
  const counts = { waiting: 0, running: 0, done: 0, failed: 0, cancelled: 0 };
  let [bytes, size, fetched] = [0, 0, 0];
  for (const image of shown) {
    counts[image.state] += 1;
    bytes += image.bytes;
    size += image.size;
    fetched += image.fetched;
  }
  return { kind: 'warm', data: { ...event.data, images: shown, omitted: 0, counts, bytes, size, fetched } };
}

/** The repository of `docker.io/library/nginx:1.27` or `docker.io/library/nginx@sha256:…`. */
export function repositoryOf(image: string): Repository {
  const [name = ''] = image.split('@', 1);
  const slash = name.indexOf('/');
  const rest = name.slice(slash + 1);
  const colon = rest.lastIndexOf(':');
  const isTag = colon > rest.lastIndexOf('/');
  return { registry: slash === -1 ? '' : name.slice(0, slash), repository: isTag ? rest.slice(0, colon) : rest };
}
