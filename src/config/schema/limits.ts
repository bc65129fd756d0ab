import * as z from 'zod';
import { count, deadline, hardLimit, size } from './fields.ts';
import { optionMeta } from './meta.ts';
import { options } from './options.ts';

const MOST = 1_000_000;

const perClient = options({
  max_inflight: count({ least: 0, most: MOST })
    .prefault(0)
    .describe('Concurrent requests of one client; 0 is no limit. More wait, see `max_inflight_wait`.'),
  requests_per_second: z
    .number()
    .min(0)
    .max(MOST)
    .register(optionMeta, { type: 'number', expected: `a number from 0 to ${MOST}, such as 0.5 or 20` })
    .prefault(0)
    .describe('Requests of one client per second, on average; 0 is no limit. More are refused.'),
  burst: count({ least: 1, most: MOST })
    .optional()
    .meta({
      description: 'Requests of one client in a burst after a pause. By default ten seconds\u2019 worth.',
      examples: [100],
    }),
  max_bandwidth: size({ least: 64 * 1024 })
    .optional()
    .meta({
      description:
        'Bytes of images and mirror routes sent to one client per second, over all its requests. No limit by default; forwarded and tunnelled bytes do not count.',
      examples: ['20MB'],
    }),
});

/** Limits for concurrent requests and connections: a part of the one definition, see schema.ts. */
export const limits = options({
  max_connections: count({ least: 1, most: MOST })
    .prefault(16_384)
    .describe('Concurrent client connections; more are refused.'),
  max_inflight: count({ least: 0, most: MOST })
    .prefault(0)
    .describe(
      'Concurrent requests until their responses have ended, over all listeners; 0 is no limit. Health, metrics, help and tunnels do not count.',
    ),
  max_inflight_wait: hardLimit.prefault(0).describe('How long a request may wait for a slot; 0 refuses it at once.'),
  max_waiting: count({ least: 1, most: MOST }).prefault(1024).describe('Requests that may wait for a slot.'),
  overload_status: z
    .literal([429, 503])
    .register(optionMeta, { type: '`429` or `503`', expected: '429 or 503' })
    .prefault(429)
    .describe('The status of refused requests. With 503, containerd goes to its next mirror at once.'),
  retry_after: deadline.prefault('5s').describe('The `Retry-After` of refused requests.'),
  per_client: perClient
    .prefault({})
    .describe('Limits for each client: an IPv4 address, or a /64 network of IPv6; see `trusted_proxies`.'),
});
