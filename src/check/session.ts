import type { HttpClient, HttpClientOptions } from '../net/index.ts';
import type { TransportSpec } from '../oci/index.ts';
import { Telemetry } from '../telemetry/index.ts';
import type { UpstreamContext } from '../upstream/index.ts';

export interface SessionOptions {
  /** Opens the transport of pulls for one upstream. The events of its names and handshakes go to `telemetry`. */
  readonly openTransport: (telemetry: Telemetry) => CheckTransport;
  /** Milliseconds for all requests to one upstream. */
  readonly timeout: number;
  readonly signal?: AbortSignal | undefined;
  /** Milliseconds since 1970. @default Date.now */
  readonly now?: () => number;
}

interface CheckTransport {
  /** The options of a transport's client. */
  readonly optionsFor: (transport: TransportSpec) => Promise<HttpClientOptions>;
  readonly clientFor: (transport: TransportSpec) => Promise<HttpClient>;
  /** Closes every connection. */
  readonly close: () => Promise<void>;
}

/** One upstream under check: its transport, its events and its deadline. */
export interface CheckSession {
  readonly transport: CheckTransport;
  readonly telemetry: Telemetry;
  readonly signal: AbortSignal;
  readonly now: () => number;
}

/** Runs `work` with a transport of its own, which is closed afterwards, and within `timeout`. */
export async function inSession<T>(options: SessionOptions, work: (session: CheckSession) => Promise<T>): Promise<T> {
  const { openTransport, timeout, now = Date.now } = options;
  const telemetry = new Telemetry();
  const transport = openTransport(telemetry);
  const deadline = new AbortController();
  const expire = (): void => deadline.abort(new DOMException('The time of the check is over', 'TimeoutError'));
  const timer = setTimeout(expire, timeout);
  const signal = options.signal === undefined ? deadline.signal : AbortSignal.any([options.signal, deadline.signal]);
  try {
    return await work({ transport, telemetry, signal, now });
  } finally {
    clearTimeout(timer);
    await transport.close();
  }
}

/** What requests like those of a pull need. */
export function contextOf({ transport, telemetry, now }: CheckSession): UpstreamContext {
  return { httpClientFor: (each) => transport.clientFor(each), telemetry, now };
}
