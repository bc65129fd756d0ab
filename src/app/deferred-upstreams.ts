import type { Upstreams } from '../upstream/index.ts';

/** How long nobody must have asked before the upstreams are opened for their own sake; milliseconds. */
const SETTLED = 1000;

/** {@link Upstreams} that are opened when they are first asked, or a second after the start. */
export interface DeferredUpstreams extends Upstreams {
  /** Lets a later opening be. */
  close(): void;
}

/**
 * Puts off what only a question to another server needs: a start does not wait for it, and what is cached is served
 * meanwhile. A second later it is made ready in any case, so that the first pull that asks an upstream does not pay for it.
 *
 * @param open called once, unless it rejects
 */
export function deferUpstreams(open: () => Promise<Upstreams>): DeferredUpstreams {
  let opened: Upstreams | undefined;
  let opening: Promise<Upstreams> | undefined;
  function upstreams(): Promise<Upstreams> {
    opening ??= open().then(
      (made) => {
        opened = made;
        return made;
      },
      (error: unknown) => {
        opening = undefined;
        throw error;
      },
    );
    return opening;
  }
  // Whoever asks next is told why it failed.
  const timer = setTimeout(() => void upstreams().catch(() => {}), SETTLED);
  timer.unref();
  return {
    headManifest: async (...asked) => (await upstreams()).headManifest(...asked),
    getManifest: async (...asked) => (await upstreams()).getManifest(...asked),
    headBlob: async (...asked) => (await upstreams()).headBlob(...asked),
    openBlob: async (...asked) => (await upstreams()).openBlob(...asked),
    locateBlob: async (...asked) => (await upstreams()).locateBlob(...asked),
    list: async (...asked) => (await upstreams()).list(...asked),
    healthOf: (registry) => opened?.healthOf(registry) ?? [],
    close: () => clearTimeout(timer),
  };
}
