import { z } from 'zod';
import { deadline, hardLimit, size } from './fields.ts';

/** Time limits towards clients: a part of the one definition, see schema.ts. */
export const timeouts = z.strictObject({
  read_header_timeout: deadline().prefault('10s').describe('For the head of a request to arrive.'),
  read_timeout: hardLimit().prefault(0).describe('For a whole request to arrive; 0 is no limit.'),
  write_timeout: hardLimit().prefault(0).describe('For a whole answer to be sent, however large; 0 is no limit.'),
  idle_timeout: deadline().prefault('65s').describe('For the next request on a kept connection.'),
  drain_delay: hardLimit()
    .prefault(0)
    .describe(
      'When told to stop, how long new requests are still served while `/readyz` says 503, so that load balancers look elsewhere first.',
    ),
  shutdown_timeout: hardLimit().prefault('30s').describe('After that, for running pulls to finish; 0 cuts them.'),
  client_stall_timeout: deadline().prefault('60s').describe('A client that reads nothing for this long is cut.'),
  max_header_bytes: size({ least: 1024, most: 2 ** 20 })
    .prefault('16KiB')
    .describe('Size of the head of a request.'),
});
