import { type Entry, type JobView, type SeesRepository, summarize } from './view.ts';

/** The images of one call. */
export class Job {
  readonly id: string;
  readonly by: string;
  readonly startedAt: number;
  endedAt: number | undefined;
  /** Later calls that share an image with it. */
  joined = 0;
  /** Its images, by the key of their work. */
  readonly entries = new Map<string, Entry>();
  /** Keys of what may begin now, of those images that it was the first to want. */
  readonly ready: string[] = [];
  /** Images that have not ended. */
  left = 0;
  /** Grows with each change of a state. */
  changes = 0;

  constructor({ id, by, startedAt }: Pick<Job, 'id' | 'by' | 'startedAt'>) {
    this.id = id;
    this.by = by;
    this.startedAt = startedAt;
  }

  /** As a caller sees it; undefined where it may see none of its images. @param room images to list @default 100 */
  async view(sees: SeesRepository, room?: number): Promise<JobView | undefined> {
    const seen: Entry[] = [];
    for (const entry of this.entries.values()) if (await sees(entry.repository)) seen.push(entry);
    if (seen.length === 0) return undefined;
    const { id, by, startedAt, endedAt, joined } = this;
    const summary = summarize(
      seen.map((entry) => entry.view()),
      room,
    );
    return { id, by, startedAt, ...(endedAt !== undefined && { endedAt }), joined, ...summary };
  }
}
