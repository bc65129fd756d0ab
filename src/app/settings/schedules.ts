import { type Config, formatKey, parseSchedule } from '../../config/index.ts';
import { HostingRules } from '../../hosting/index.ts';
import { OciError } from '../../oci/index.ts';
import type { Catalogue } from '../../routing/index.ts';
import type { ScheduleSpec } from '../../schedules/index.ts';
import { type CopyNames, copyEndsOf, destinationFault, sameEndsFault } from './copy-ends.ts';
import { SettingsError } from './error.ts';
import { oneImage } from './one-image.ts';

/** A schedule with what it does. `platforms` may be empty. */
export type ScheduledWork = WarmSchedule | CopySchedule;

export interface WarmSchedule extends ScheduleSpec {
  readonly kind: 'warm';
  readonly images: readonly string[];
  readonly platforms: readonly string[];
}

export interface CopySchedule extends ScheduleSpec {
  readonly kind: 'copy';
  readonly images: readonly CopyNames[];
  readonly platforms: readonly string[];
}

type Scheduled = Pick<Config, 'warm' | 'copy'>;

/** The sections `warm` and `copy`: every schedule with a name of its own. */
export function scheduledWorkOf({ warm, copy }: Scheduled): readonly ScheduledWork[] {
  const names = new Set([...warm, ...copy].flatMap(({ name }) => name ?? []));
  return [
    ...warm.map((entry, at): WarmSchedule => {
      const { images, platforms } = entry;
      const name = nameOf(entry, { place: ['warm', at], otherwise: images[0], names });
      return { kind: 'warm', ...name, ...timesOf(entry), images, platforms };
    }),
    ...copy.map((entry, at): CopySchedule => {
      const { images, platforms } = entry;
      const name = nameOf(entry, { place: ['copy', at], otherwise: images[0]?.to, names });
      return { kind: 'copy', ...name, ...timesOf(entry), images, platforms };
    }),
  ];
}

/** The label of one without a name of its own is its place. */
function nameOf(
  { name }: Pick<Config['warm'][number], 'name'>,
  {
    place,
    otherwise,
    names,
  }: { readonly place: Path; readonly otherwise: string | undefined; readonly names: Set<string> },
): Pick<ScheduleSpec, 'name' | 'label'> {
  const label = name ?? formatKey(place);
  return { name: name ?? unusedOf(otherwise ?? label, names), label };
}

/** @throws {TypeError} for a schedule that the configuration would have refused */
function timesOf({
  schedule,
  timeZone,
}: Pick<Config['warm'][number], 'schedule' | 'timeZone'>): Pick<ScheduleSpec, 'schedule' | 'recurrence'> {
  const parsed = parseSchedule(schedule);
  if (parsed === undefined) throw new TypeError(`Cannot read the schedule ${schedule}`);
  const recurrence = parsed.kind === 'every' || timeZone === undefined ? parsed : { ...parsed, timeZone };
  return { schedule, recurrence };
}

/** The text, or with a number behind it where it is taken. Takes it. */
function unusedOf(text: string, taken: Set<string>): string {
  let found = text;
  for (let number = 2; taken.has(found); number += 1) found = `${text} (${number})`;
  taken.add(found);
  return found;
}

/** @throws {SettingsError} for images of schedules that no registry of this server has, and for copies whose two ends do not fit */
export function checkSchedules({ warm, copy }: Scheduled, catalogue: Catalogue): void {
  const ofWarm = warm.flatMap(({ images }, at) =>
    images.flatMap((image, index) => faultsAt(['warm', at, 'images', index], () => oneImage(image, catalogue))),
  );
  const ofCopy = copiesIn(copy).flatMap(({ names, path }) => {
    const ofEnds = (['from', 'to'] as const).flatMap((end) =>
      faultsAt([...path, end], () => oneImage(names[end], catalogue)),
    );
    return ofEnds.length > 0 ? ofEnds : faultsAt(path, () => copyEndsOf(names, catalogue));
  });
  const problems = [...ofWarm, ...ofCopy];
  if (problems.length > 0) throw new SettingsError(problems);
}

type Path = readonly (string | number)[];

/** What `read` refuses, with its place. */
function faultsAt(path: Path, read: () => unknown): readonly string[] {
  return faultOf(read).map((message) => `${formatKey(path)}: ${message}`);
}

function faultOf(read: () => unknown): readonly string[] {
  try {
    read();
    return [];
  } catch (error) {
    if (!(error instanceof OciError)) throw error;
    return [error.message];
  }
}

function copiesIn(copy: Config['copy']): readonly { readonly names: CopyNames; readonly path: Path }[] {
  return copy.flatMap(({ images }, at) =>
    images.map((names, index) => ({ names, path: ['copy', at, 'images', index] })),
  );
}

/** What schedules cannot do, as the configuration stands. The images are those that {@link checkSchedules} lets through. */
export function idleSchedulesIn({ warm, copy }: Scheduled, catalogue: Catalogue): readonly string[] {
  if (warm.length + copy.length === 0) return [];
  const rules = new HostingRules(catalogue.list());
  return [...hostedImagesIn(warm, catalogue, rules), ...idleCopiesIn(copy, catalogue, rules)];
}

/** Images that are hosted here, so that there is nothing to fetch. */
function hostedImagesIn(warm: Config['warm'], catalogue: Catalogue, rules: HostingRules): readonly string[] {
  return warm.flatMap(({ images }, at) =>
    images.flatMap((image, index) => {
      if (faultOf(() => oneImage(image, catalogue)).length > 0) return [];
      if (rules.homeOf(oneImage(image, catalogue).repository) !== 'here') return [];
      const option = formatKey(['warm', at, 'images', index]);
      return [`${option}: it has no effect: ${image} is hosted here, so all of it is stored. Remove it`];
    }),
  );
}

/** Copies that go nowhere, and those that go where another one goes. */
function idleCopiesIn(copy: Config['copy'], catalogue: Catalogue, rules: HostingRules): readonly string[] {
  const taken = new Map<string, string>();
  return copiesIn(copy).flatMap(({ names, path }) => {
    if (faultOf(() => copyEndsOf(names, catalogue)).length > 0) return [];
    const ends = copyEndsOf(names, catalogue);
    const at = formatKey([...path, 'to']);
    const idle =
      destinationFault(ends.destination.repository, rules) ??
      sameEndsFault(ends, { allTags: names.allTags, catalogue, rules });
    if (idle !== undefined) return [`${at}: the schedule fails each time: ${idle}`];
    // The tags of two repositories may become those of one.
    if (names.allTags) return [];
    const place = ends.destination.text;
    const first = taken.get(place);
    taken.set(place, first ?? at);
    return first === undefined
      ? []
      : [`${at}: ${first} leads to ${place} already. Name another tag, or remove one of the two`];
  });
}
