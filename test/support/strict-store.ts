import type { Digest } from '../../src/oci/index.ts';
import type {
  BlobStore,
  Ingestion,
  PartialIngestion,
  PartialStore,
  StoredBlob,
  UnknownFiles,
} from '../../src/store/index.ts';

/** Where a {@link StrictStore} can be made to wait or fail. */
export type StoreStep = 'begin' | 'note' | 'write' | 'read' | 'commit' | 'abort' | 'open' | 'stat' | 'delete';

/**
 * A store around another that finds the code that uses a file after closing it, closes it twice or never, and that fails on
 * cue.
 */
export class StrictStore implements BlobStore {
  /** What was done that must not be. */
  readonly faults: string[] = [];
  /** Runs before each step: what it waits for, the step waits for; what it throws, the step rejects with. */
  before: (step: StoreStep) => unknown = () => {};
  /** Files and blobs that are open. */
  opened = 0;
  /** Files ever begun. */
  begun = 0;
  readonly #store: BlobStore;

  constructor(store: BlobStore) {
    this.#store = store;
  }

  get partials(): PartialStore | undefined {
    const { partials } = this.#store;
    if (partials === undefined) return undefined;
    // Not a copy of it, which would have the mark of now.
    const guarded = (file: PartialIngestion): PartialIngestion =>
      Object.assign(this.#ingestion(file), {
        note: async (text: string, options?: Parameters<PartialIngestion['note']>[1]) => {
          await this.before('note');
          await file.note(text, options);
        },
        leave: () => file.leave(),
      });
    return {
      begin: async (digest) => {
        await this.before('begin');
        const file = await partials.begin(digest);
        this.begun += 1;
        return guarded(file);
      },
      reopen: async (digest) => {
        const found = await partials.reopen(digest);
        return found && { ...found, file: guarded(found.file) };
      },
      list: () => partials.list(),
      remove: (digest) => partials.remove(digest),
    };
  }

  async begin(): Promise<Ingestion> {
    await this.before('begin');
    const file = await this.#store.begin();
    this.begun += 1;
    return this.#ingestion(file);
  }

  #ingestion(file: Ingestion): Ingestion {
    const guard = this.#guard('growing file');
    return {
      get mark() {
        return file.mark;
      },
      write: async (chunk, position) => {
        guard.use('write');
        await this.before('write');
        await file.write(chunk, position);
      },
      read: async (target, position) => {
        guard.use('read');
        await this.before('read');
        const count = await file.read(target, position);
        guard.use('end of read');
        return count;
      },
      commit: async (digest) => {
        guard.use('commit');
        await this.before('commit');
        await file.commit(digest);
      },
      abort: async () => {
        await this.before('abort');
        await file.abort();
      },
      close: async () => {
        guard.close();
        await file.close();
      },
    };
  }

  async open(digest: Digest): Promise<StoredBlob | undefined> {
    await this.before('open');
    const blob = await this.#store.open(digest);
    if (blob === undefined) return undefined;
    const guard = this.#guard('stored blob');
    return {
      size: blob.size,
      mark: blob.mark,
      read: async (target, position) => {
        guard.use('read');
        await this.before('read');
        const count = await blob.read(target, position);
        guard.use('end of read');
        return count;
      },
      close: async () => {
        guard.close();
        await blob.close();
      },
    };
  }

  async stat(digest: Digest): Promise<number | undefined> {
    await this.before('stat');
    return this.#store.stat(digest);
  }

  async delete(digest: Digest): Promise<boolean> {
    await this.before('delete');
    return this.#store.delete(digest);
  }

  quarantine(digest: Digest): Promise<void> {
    return this.#store.quarantine(digest);
  }

  list(): AsyncIterable<{ readonly digest: Digest; readonly size: number }> {
    return this.#store.list();
  }

  listDigests(): AsyncIterable<readonly Digest[]> {
    return this.#store.listDigests();
  }

  unknownFiles(): Promise<UnknownFiles> {
    return this.#store.unknownFiles();
  }

  #guard(what: string): { use(step: string): void; close(): void } {
    this.opened += 1;
    let closed = false;
    return {
      use: (step) => {
        if (closed) this.faults.push(`${step} of a closed ${what}`);
      },
      close: () => {
        if (closed) this.faults.push(`${what} closed twice`);
        else this.opened -= 1;
        closed = true;
      },
    };
  }
}

/** What a full disk says. */
export function diskFull(): Error {
  return Object.assign(new Error('ENOSPC: no space left on device, write'), { code: 'ENOSPC' });
}
