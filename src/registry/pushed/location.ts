import type { RegistryPath } from '../../oci/index.ts';
import type { RegistryRequest } from '../request.ts';

/**
 * The URL of something in the repository of a request, in the client's own addressing. It is relative to the host, so it works behind
 * any reverse proxy.
 *
 * @param tail `manifests/…`, `blobs/…`
 * @param query more parameters, as they are to be written
 */
export function locationOf(
  { name: { addressing }, path }: RegistryRequest<Extract<RegistryPath, { readonly repository: string }>>,
  tail: string,
  query = '',
): string {
  const { prefix, ns } = addressing;
  const parameters = [query, ns === undefined ? '' : new URLSearchParams({ ns }).toString()].filter(
    (each) => each !== '',
  );
  const end = parameters.length === 0 ? '' : `?${parameters.join('&')}`;
  return `${prefix}${path.repository}/${tail}${end}`;
}

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
