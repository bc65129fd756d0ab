import type { RegistryRequest } from '../request.ts';

/**
 * A `Location` in the repository of a request, as its client spells the name. Relative, so that it holds behind every proxy; with the
 * client's `?ns=`, without which it would name another registry.
 *
 * @param rest after the repository, without a slash in front
 * @param query as it is written, without `?`
 */
export function locationIn({ name: { addressing }, path }: RegistryRequest, rest: string, query = ''): string {
  const repository = 'repository' in path ? path.repository : '';
  const ns = addressing.ns === undefined ? '' : `ns=${encodeURIComponent(addressing.ns)}`;
  const whole = [query, ns].filter((each) => each !== '').join('&');
  return `${addressing.prefix}${repository}/${rest}${whole === '' ? '' : `?${whole}`}`;
}
