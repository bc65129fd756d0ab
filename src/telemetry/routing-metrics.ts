import { Counter } from './counters.ts';
import type { Telemetry } from './events.ts';

type RoutingCounters = ReturnType<typeof createRoutingCounters>;

/** The metrics of routing plugins. */
export function createRoutingCounters() {
  return {
    pluginFailures: new Counter({
      name: 'entrepot_routing_plugin_failures_total',
      help: 'Questions that a routing plugin did not answer, or not rightly, by failure: load, threw, invalid, timeout, crashed.',
      labels: ['registry', 'failure'],
    }),
  };
}

/** @param named the label of a registry */
export function countRouting(
  telemetry: Telemetry,
  { pluginFailures }: RoutingCounters,
  named: (registry: string) => string,
): () => void {
  return telemetry.on('routing.plugin.failed', ({ registry, failure }) =>
    pluginFailures.add(1, named(registry), failure),
  );
}
