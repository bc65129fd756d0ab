import type { Repository } from '../oci/index.ts';
import { type Entry, type JobView, type SeesRepository, summarize } from './view.ts';

/** The images of one call. */
export class Job<Facts, Sum extends keyof Facts> {
  readonly id: string;
  readonly by: string;
  readonly startedAt: number;
  endedAt: number | undefined;
  /** Later calls that share an image with it. */
  joined = 0;
  /** Its images, by the key of their work. */
  readonly entries = new Map<string, Entry<Facts>>();
  /** Keys of what may begin now, of those images that it was the first to want. */
  readonly ready: string[] = [];
  /** Resolves when the job has ended. */
  readonly ended: Promise<void>;
  readonly end: () => void;
  /** Images that have not ended. */
  left = 0;
  /** Grows with each change of a state. */
  changes = 0;
  readonly #sums: readonly Sum[];

  constructor({
    id,
    by,
    startedAt,
    sums,
  }: Pick<Job<Facts, Sum>, 'id' | 'by' | 'startedAt'> & { readonly sums: readonly Sum[] }) {
    this.id = id;
    this.by = by;
    this.startedAt = startedAt;
    this.#sums = sums;
    ({ promise: this.ended, resolve: this.end } = Promise.withResolvers<void>());
  }

  /** As a caller sees it; undefined where it may see none of its images. @param room images to list @default 100 */
  async view(sees: SeesRepository, room?: number): Promise<JobView<Facts, Sum> | undefined> {
    const seen: Entry<Facts>[] = [];
    for (const entry of this.entries.values()) if (await seesAll(entry.repositories, sees)) seen.push(entry);
    if (seen.length === 0) return undefined;
    const { id, by, startedAt, endedAt, joined } = this;
    const views = seen.map((entry) => entry.view());
    const summary = summarize(views, { sums: this.#sums, room });
    return { id, by, startedAt, ...(endedAt !== undefined && { endedAt }), joined, ...summary };
  }
}

async function seesAll(repositories: readonly Repository[], sees: SeesRepository): Promise<boolean> {
  for (const repository of repositories) if (!(await sees(repository))) return false;
  return true;
}
