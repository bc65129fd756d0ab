import { z } from 'zod';
import { count, deadline, hardLimit, size } from './fields.ts';
import { optionMeta } from './meta.ts';

const MOST = 1_000_000;

const perClient = z.strictObject({
  max_inflight: count({ least: 0, most: MOST })
    .prefault(0)
    .describe('Requests of one client under way at once; 0 is no limit. More wait as under `max_inflight_wait`.'),
  requests_per_second: z
    .number()
    .min(0)
    .max(MOST)
    .register(optionMeta, { type: 'number', expected: `a number from 0 to ${MOST}, such as 0.5 or 20` })
    .prefault(0)
    .describe('Requests of one client in a second, on average; 0 is no limit. More are turned away.'),
  burst: count({ least: 1, most: MOST })
    .optional()
    .meta({
      description: 'Requests of one client at once after a pause. Unless given, ten seconds\u2019 worth.',
      examples: [100],
    }),
  max_bandwidth: size({ least: 64 * 1024 })
    .optional()
    .meta({
      description:
        'Bytes of images and mirror routes that one client is sent in a second, over all its requests. No limit unless given; forwarded and tunnelled bytes are not counted.',
      examples: ['20MB'],
    }),
});

/** What is the most at once: a part of the one definition, see schema.ts. */
export const limits = z.strictObject({
  max_connections: count({ least: 1, most: MOST })
    .prefault(16_384)
    .describe('Client connections at once; more are refused.'),
  max_inflight: count({ least: 0, most: MOST })
    .prefault(0)
    .describe(
      'Requests under way at once until their answers have ended, over all listeners; 0 is no limit. Health, metrics, help and tunnels are not counted.',
    ),
  max_inflight_wait: hardLimit()
    .prefault(0)
    .describe('How long a request may wait where there are as many; 0 turns it away at once.'),
  max_waiting: count({ least: 1, most: MOST }).prefault(1024).describe('Requests that may wait at once.'),
  overload_status: z
    .literal([429, 503])
    .register(optionMeta, { type: '`429` or `503`', expected: '429 or 503' })
    .prefault(429)
    .describe('The answer to those for whom there is no place. With 503 containerd goes to its next mirror at once.'),
  retry_after: deadline().prefault('5s').describe('What it says as `Retry-After`.'),
  per_client: perClient
    .prefault({})
    .describe('For each client: an IPv4 address, or a /64 network of IPv6; see `trusted_proxies`.'),
});
