/**
 * The section `warm`: images, and when they are fetched.
 *
 * It never calculates when a schedule is due: it says whether its text can be read, and how often it is about to run.
 */
export { parseSchedule, type Schedule, shortestPause } from './schedule.ts';
export { warm } from './warm.ts';
