import { createBlobPump } from './blob-pump.ts';
import { createDial } from './dial.ts';
import type { HttpClient, HttpClientOptions } from './http.ts';
import { createSmallExchange } from './small-exchange.ts';

/**
 * A client for other servers, with its own connections, TLS settings and deadlines. Nothing is dialled or loaded before
 * the first request.
 *
 * `fetch` goes through undici and `open` through the blob pump; both get their sockets from the one dial, and count
 * `maxConnsPerHost` apart, so that small answers never wait for layers.
 */
export function createHttpClient(options: HttpClientOptions = {}): HttpClient {
  const dial = createDial(options);
  const small = createSmallExchange(dial, options);
  const pump = createBlobPump(dial, options);
  return {
    fetch: (request) => small.fetch(request),
    open: (request) => pump.open(request),
    close: async () => {
      pump.close();
      await small.close();
    },
  };
}
