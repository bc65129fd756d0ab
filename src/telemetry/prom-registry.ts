import type { Metric, Registry } from 'prom-client';
import { loadPromClient } from './load-prom-client.ts';

/**
 * Gauges of prom-client that are named as counters are, which `promtool check metrics` refuses. Each is the sum of the gauge
 * of the same name without `_total`.
 */
const MISNAMED = ['handles', 'requests', 'resources'].map((what) => `entrepot_nodejs_active_${what}_total`);

/** A registry of prom-client with these metrics and those of the process. */
export async function openRegistry(counters: readonly object[]): Promise<Registry> {
  const { collectDefaultMetrics, Registry } = await loadPromClient();
  const registry = new Registry();
  // A registry uses only a metric's name and get(); prom-client's type asks for more.
  for (const each of counters) registry.registerMetric(each as unknown as Metric);
  collectDefaultMetrics({ register: registry, prefix: 'entrepot_' });
  for (const name of MISNAMED) registry.removeSingleMetric(name);
  return registry;
}
