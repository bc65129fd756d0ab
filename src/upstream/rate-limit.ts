import type { UpstreamQuota } from '../telemetry/index.ts';

/** The pull rate limit of one credential, as a registry states it. */
export type Quota = Omit<UpstreamQuota, 'registry' | 'upstream'>;
export type PullRateLimit = Omit<Quota, 'credential'>;

const MAX_HEADER = 256;

/**
 * Reads `ratelimit-limit: 100;w=21600` and `ratelimit-remaining: 76;w=21600`, as Docker Hub sends them on answers about
 * manifests; the window may be on either, or on none (draft-ietf-httpapi-ratelimit-headers, up to -07).
 *
 * @param headers by lower-case names
 * @returns undefined without such headers, which on Docker Hub means no limit
 */
export function parseRateLimit(headers: Readonly<Record<string, string>>): PullRateLimit | undefined {
  const remaining = parseItem(headers['ratelimit-remaining']);
  if (remaining === undefined) return undefined;
  const limit = parseItem(headers['ratelimit-limit']);
  return {
    limit: limit?.count,
    remaining: remaining.count,
    windowSeconds: remaining.windowSeconds ?? limit?.windowSeconds,
  };
}

// The first number is the tightest limit; policies with windows of their own may follow it, so a window counts only in the
// number's own item.
const ITEM = /^\s*(\d{1,9})\s*((?:;[^,;]{0,64}){0,4})(?:,|$)/;
const WINDOW = /;\s*w\s*=\s*(\d{1,9})\s*(?:;|$)/i;

function parseItem(header: string | undefined): { count: number; windowSeconds: number | undefined } | undefined {
  if (header === undefined || header.length > MAX_HEADER) return undefined;
  const item = ITEM.exec(header);
  if (item === null) return undefined;
  const seconds = Number(WINDOW.exec(item[2] ?? '')?.[1] ?? 0);
  return { count: Number(item[1]), windowSeconds: seconds === 0 ? undefined : seconds };
}
