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
