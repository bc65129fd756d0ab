/**
 * Routing plugins: a module of the operator's own that orders the upstreams of a registry, in a thread of its own.
 *
 * A plugin orders what it is given, and can neither add an upstream nor keep a pull from being answered: where it fails, in any
 * way, the order is that of the configuration. It never runs in the thread of requests, and learns nothing of clients.
 */

export type { RoutingCandidate, RoutingOrder, RoutingPlugin, RoutingQuestion } from './contract.ts';
export { type PluginTrial, tryPlugin } from './kit.ts';
export { openRoutingPlugin } from './open-plugin.ts';
export type { PluginView, SupervisedPlugin } from './routing-plugin.ts';
