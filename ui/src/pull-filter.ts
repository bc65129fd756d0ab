import type { Answer } from './api.ts';

type Pull = Answer<'pulls'>['pulls'][number];

/** Whether a pull belongs into a list with this filter, as the server decides it. */
export function matches(
  { registry, repository, reference, client, user = '', userAgent = '', outcome }: Pull,
  filter: {
    readonly image?: string | undefined;
    readonly client?: string | undefined;
    readonly outcome?: string | undefined;
  },
): boolean {
  const has = (text: string, part: string | undefined): boolean =>
    part === undefined || text.toLowerCase().includes(part.toLowerCase());
  return (
    has(`${registry}/${repository}:${reference}`, filter.image) &&
    [client, user, userAgent].some((text) => has(text, filter.client)) &&
    (filter.outcome === undefined || filter.outcome === outcome)
  );
}
