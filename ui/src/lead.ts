import { remember, remembered } from './storage.ts';

/** Milliseconds for which a lease holds, where there are no Web Locks. Browsers wake hidden tabs once a second at most. */
const LEASE = 6000;

/**
 * Waits until this tab is the one that leads, then calls `begin`; what that answers is called when the lead ends.
 *
 * By Web Locks, which browsers have on HTTPS and loopback only; elsewhere by a lease that is kept in storage. Two tabs that
 * take a free lease in the same moment both lead until the next renewal, which costs a stream and changes nothing.
 *
 * @returns ends the lead, or the wait for it
 */
export function holdLead(name: string, begin: () => () => void): () => void {
  return 'locks' in navigator ? byLock(name, begin) : byLease(name, begin);
}

function byLock(name: string, begin: () => () => void): () => void {
  const waiting = new AbortController();
  const { promise: released, resolve: release } = Promise.withResolvers<void>();
  navigator.locks
    .request(name, { signal: waiting.signal }, async () => {
      const end = begin();
      await released;
      end();
    })
    // Aborted while it waited.
    .catch(() => {});
  return () => {
    release();
    waiting.abort();
  };
}

function byLease(name: string, begin: () => () => void): () => void {
  const own = Math.random().toString(36).slice(2);
  let end: (() => void) | undefined;
  const renew = (): void => {
    const [holder, until] = (remembered(name) ?? '').split(' ');
    if (holder === own || Number(until ?? 0) < Date.now()) {
      remember(name, `${own} ${Date.now() + LEASE}`);
      end ??= begin();
    } else {
      end?.();
      end = undefined;
    }
  };
  renew();
  const timer = setInterval(renew, LEASE / 3);
  return () => {
    clearInterval(timer);
    end?.();
    if ((remembered(name) ?? '').startsWith(own)) remember(name, undefined);
  };
}
