/**
 * Images that are fetched into the cache before a client asks for them, by the same way as pulls.
 *
 * It decides what of an image is fetched, how much at once, and when it is tried again. It never chooses an upstream, never
 * resolves a name, and never takes a slot of a client.
 */
export type { ImageToWarm, WarmCache } from './fetch-image.ts';
export { type WarmedJob, WarmJobs, type WarmJobsOptions } from './jobs.ts';
export type { ImageView, JobView, SeesRepository } from './view.ts';
