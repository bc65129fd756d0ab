import type { Secret } from '../oci/index.ts';
import type { WebhookEvent } from './reports.ts';

/** One receiver of events, as the configuration names it. */
export interface WebhookSpec {
  /** Unique; shown in log, metrics and status. */
  readonly name: string;
  /** Unique, and the same after a restart: what waits for this webhook is kept under it. */
  readonly key: string;
  /** `http(s)://…`, without userinfo. It may have a query, which is never shown. */
  readonly url: string;
  readonly events: readonly WebhookEvent[];
  /** Patterns of `registry/repository`. Empty: all of them. */
  readonly on: readonly string[];
  /** Each signs; two while a secret is replaced. Empty: nothing is signed. */
  readonly secrets: readonly Secret[];
  readonly headers: Readonly<Record<string, Secret>>;
  /** Milliseconds for one attempt, its connection included. */
  readonly timeout: number;
}

/** A URL as it may be shown: without its query, which may hold a token. */
export function shownUrl(url: string): string {
  const { origin, pathname } = new URL(url);
  return `${origin}${pathname}`;
}
