import type { RoutingQuestion } from './contract.ts';

/** What a plugin did wrong. */
export type PluginFailure = 'load' | 'threw' | 'invalid' | 'timeout' | 'crashed';

/** An answer of a plugin, as its thread passes it on. `said`: what it returned, for a message. */
export type PluginAnswer =
  | { readonly kind: 'names'; readonly names: readonly string[] | undefined; readonly said: string }
  | { readonly kind: 'fault'; readonly failure: 'threw' | 'invalid'; readonly fault: string };

/** What is wrong with the names that a plugin returned, as the end of a sentence that begins with the plugin; undefined: nothing. */
export function faultOfNames(
  names: readonly string[],
  { upstreams }: Pick<RoutingQuestion, 'upstreams'>,
  said: string,
): string | undefined {
  const known = new Set(upstreams.map(({ name }) => name));
  const stranger = names.find((name) => !known.has(name));
  if (stranger !== undefined) {
    return `returned ${said}, and ${quoted(stranger)} is no upstream of the question, which has ${listed([...known])}`;
  }
  const repeated = names.find((name, at) => names.indexOf(name) !== at);
  return repeated === undefined
    ? undefined
    : `returned ${said}, and ${quoted(repeated)} is in it twice; name each upstream once`;
}

function quoted(name: string): string {
  return JSON.stringify(name.slice(0, 100));
}

/** Names in one message. */
const MOST_NAMES = 5;

function listed(names: readonly string[]): string {
  const more = names.length - MOST_NAMES;
  return names.slice(0, MOST_NAMES).map(quoted).join(', ') + (more > 0 ? ` and ${more} more` : '');
}
