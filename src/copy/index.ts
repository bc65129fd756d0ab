/**
 * Images that are copied from one repository to another: to a hosted one, or to an upstream that takes pushes.
 *
 * It decides what belongs to an image, in which order it is sent, and what is there already. It never resolves a name, never
 * chooses an upstream, and never takes a slot of a client.
 */
export type { CopyDestination } from './destination.ts';
export { HostedDestination } from './hosted-destination.ts';
export { type CopyingJob, CopyJobs, type CopyJobsOptions, type CopyJobView, type ImageToCopy } from './jobs.ts';
export { type CopySource, HostedSource, MirroredSource } from './source.ts';
export { UpstreamDestination } from './upstream-destination.ts';
