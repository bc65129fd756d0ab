/**
 * The sections `warm` and `copy`: images, and when they are fetched or copied.
 *
 * It never calculates when a schedule is due: it says whether its text can be read, and how often it is about to run.
 */
export { copy } from './copy.ts';
export { parseSchedule, type Schedule, shortestPause } from './schedule.ts';
export { warm } from './warm.ts';
