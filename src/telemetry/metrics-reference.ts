import { createCounters } from './metrics.ts';

/** The table of all metrics, in Markdown, for docs/observing.md. */
export async function metricsTable(): Promise<string> {
  const counters = createCounters({
    inFlight: () => 0,
    connections: () => 0,
    admission: { inflight: 0, waiting: 0, overloaded: false },
    transfers: () => 0,
    tunnels: () => 0,
    cache: () => Promise.resolve({ blobs: 0, bytes: 0 }),
    partials: () => Promise.resolve({ count: 0, bytes: 0 }),
    cacheLimit: () => undefined,
    disk: () => Promise.resolve({ free: 0, total: 0 }),
    ready: () => true,
    paused: () => false,
    certificates: () => [],
    upstreams: () => [],
    hosted: () => Promise.resolve({ repositories: 0, digests: 0, bytes: 0 }),
    uploads: () => ({ open: 0, busy: 0, bytes: 0 }),
    webhooks: () => [],
    schedules: () => Promise.resolve([]),
  });
  const metrics = Object.values(counters).filter((each) => each !== undefined);
  const rows = await Promise.all(
    metrics.map(async (each) => {
      const { type, help } = await each.get();
      const labels = each.labels.length === 0 ? '' : `{${each.labels.join(',')}}`;
      return `| \`${each.name}${labels}\` | ${type} | ${help.replaceAll('|', '\\|')} |`;
    }),
  );
  return ['| metric | type | meaning |', '|---|---|---|', ...rows.sort()].join('\n');
}
