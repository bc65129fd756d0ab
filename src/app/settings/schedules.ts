import { type Config, formatKey, parseSchedule } from '../../config/index.ts';
import { HostingRules } from '../../hosting/index.ts';
import { OciError } from '../../oci/index.ts';
import type { Catalogue } from '../../routing/index.ts';
import type { ScheduleSpec } from '../../schedules/index.ts';
import { SettingsError } from './error.ts';
import { oneImage } from './one-image.ts';

/** The `warm` section: every schedule with a name of its own. */
export function scheduleSpecsOf({ warm }: Pick<Config, 'warm'>): readonly ScheduleSpec[] {
  const names = new Set(warm.flatMap(({ name }) => name ?? []));
  return warm.map(({ name, images, schedule, timeZone, platforms }) => {
    const parsed = parseSchedule(schedule);
    if (parsed === undefined) throw new TypeError(`Cannot read the schedule ${schedule}`);
    const recurrence = parsed.kind === 'every' || timeZone === undefined ? parsed : { ...parsed, timeZone };
    return { name: name ?? unusedOf(images[0] ?? 'warm', names), schedule, recurrence, images, platforms };
  });
}

/** The text, or with a number behind it where it is taken. Takes it. */
function unusedOf(text: string, taken: Set<string>): string {
  let found = text;
  for (let number = 2; taken.has(found); number += 1) found = `${text} (${number})`;
  taken.add(found);
  return found;
}

/** @throws {SettingsError} for images of schedules that no registry of this server has */
export function checkSchedules({ warm }: Pick<Config, 'warm'>, catalogue: Catalogue): void {
  const problems = warm.flatMap(({ images }, at) =>
    images.flatMap((image, index) => {
      try {
        oneImage(image, catalogue);
        return [];
      } catch (error) {
        if (!(error instanceof OciError)) throw error;
        return [`${formatKey(['warm', at, 'images', index])}: ${error.message}`];
      }
    }),
  );
  if (problems.length > 0) throw new SettingsError(problems);
}

/** Images of schedules that are hosted here, so that there is nothing to fetch. The images are those that {@link checkSchedules} lets through. */
export function hostedSchedulesIn({ warm }: Pick<Config, 'warm'>, catalogue: Catalogue): readonly string[] {
  if (warm.length === 0) return [];
  const hosting = new HostingRules(catalogue.list());
  return warm.flatMap(({ images }, at) =>
    images.flatMap((image, index) => {
      if (!isHosted(image, catalogue, hosting)) return [];
      const option = formatKey(['warm', at, 'images', index]);
      return [`${option}: it has no effect: ${image} is hosted here, so all of it is stored. Remove it`];
    }),
  );
}

function isHosted(image: string, catalogue: Catalogue, hosting: HostingRules): boolean {
  try {
    return hosting.homeOf(oneImage(image, catalogue).repository) === 'here';
  } catch (error) {
    if (error instanceof OciError) return false;
    throw error;
  }
}
