/**
 * Joins token scopes (distribution, "Token scope"): one entry for each resource, in the order of the first, with the actions of
 * both. What has no form of a scope is left out of the second.
 */
export function joinScopes(own: string, named: string): string {
  const actions = new Map<string, string[]>();
  for (const scope of `${own} ${named}`.split(' ')) {
    const end = scope.lastIndexOf(':');
    if (end === -1) continue;
    const resource = scope.slice(0, end);
    // GHCR names this one whatever is asked for.
    if (resource === 'repository:user/image') continue;
    const known = actions.get(resource) ?? [];
    actions.set(resource, [...known, ...scope.slice(end + 1).split(',')]);
  }
  return [...actions].map(([resource, all]) => `${resource}:${[...new Set(all)].join(',')}`).join(' ');
}
