import type { ByteSource } from '../lib/index.ts';

/** Learns how a body begins; exactly one of the three is called, once. */
export interface BodyWatcher {
  /** The first bytes arrived, or the end. */
  readonly begun: () => void;
  /** It broke off before the first byte. */
  readonly broken: (error: unknown) => void;
  /** It was cancelled before the first byte. */
  readonly left: () => void;
}

/** Watches the beginning of a body. Later reads are the source's own, without an allocation per chunk. */
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
