import { type Caller, type LiveEvent, pullShownTo } from '../../admin/index.ts';

/** What a client may see of an event: the event, less than it, or nothing. */
export type Shown = LiveEvent | undefined;

/** Says what of an event a caller may see. */
export type ShowTo = (caller: Caller) => Promise<Shown>;

/** The part of an event that a caller may see. No repository is named that it may not pull from. */
export function shownTo(event: LiveEvent, caller: Caller): Shown | Promise<Shown> {
  if (caller.seesAll) return event;
  switch (event.kind) {
    case 'pull': {
      const shown: LiveEvent = { kind: event.kind, data: pullShownTo(caller, event.data) };
      return shownIf(caller.sees(event.data), shown.data === event.data ? event : shown);
    }
    case 'transfer':
    case 'transfer.ended':
    case 'tag':
      return shownIf(caller.sees(event.data), event);
    case 'warm':
    case 'copy':
      // Its images are many, and its sums are of all of them: its source says what of it a caller may see.
      return undefined;
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
