import type { ByteSource } from '../lib/index.ts';

/** Who hears how a body begins; exactly one of them is called, once. */
export interface BodyWatcher {
  /** Its first bytes came, or its end. */
  readonly begun: () => void;
  /** It broke off before any came. */
  readonly broken: (error: unknown) => void;
  /** It was given up before any came. */
  readonly left: () => void;
}

/** A body whose beginning is heard of. After that each read is the source's own: nothing is allocated for a chunk. */
export function watchBody(source: ByteSource, watcher: BodyWatcher): ByteSource {
  let state: 'unread' | 'reading' | 'told' = 'unread';
  async function first(): Promise<Buffer | undefined> {
    state = 'reading';
    try {
      const chunk = await source.read();
      if (told()) watcher.begun();
      return chunk;
    } catch (error) {
      if (told()) watcher.broken(error);
      throw error;
    }
  }
  function told(): boolean {
    if (state === 'told') return false;
    state = 'told';
    return true;
  }
  return {
    read: () => (state === 'unread' ? first() : source.read()),
    cancel(reason) {
      if (told()) watcher.left();
      source.cancel(reason);
    },
  };
}
