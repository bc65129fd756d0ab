import { flag } from './fields.ts';
import { ownListen } from './listen.ts';
import { options } from './options.ts';

/** The HTTP API and the page: a part of the one definition, see schema.ts. */
export const admin = options({
  enabled: flag.prefault(true).describe('Serve the HTTP API and the page. Without them, `/api` and `/ui` answer 404.'),
  record_pulls: flag
    .prefault(true)
    .describe(
      'Keep the last 10,000 pulls, with the address and user of each client, and sums by the hour and day, in `pulls.db` in the cache directory.',
    ),
  listen: ownListen.meta({
    description:
      'Listeners for the API and the page alone, with `/healthz`, `/readyz`, `/metrics` and `/help`: an address, or a list of addresses and of `{address, tls}`. The listeners under `listen` then answer `/api` and `/ui` with 404. By default every listener under `listen` serves them.',
    examples: ['127.0.0.1:5001'],
  }),
});
