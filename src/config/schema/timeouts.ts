import { deadline, hardLimit, size } from './fields.ts';
import { options } from './options.ts';

/** Time limits for client connections: a part of the one definition, see schema.ts. */
export const timeouts = options({
  read_header_timeout: deadline.prefault('10s').describe('For the head of a request to arrive.'),
  read_timeout: hardLimit.prefault(0).describe('For a whole request to arrive; 0 is no limit.'),
  write_timeout: hardLimit.prefault(0).describe('For a whole response to be sent, however large; 0 is no limit.'),
  idle_timeout: deadline.prefault('65s').describe('For the next request on a kept connection.'),
  drain_delay: hardLimit
    .prefault(0)
    .describe(
      'At a stop, how long new requests are still served while `/readyz` answers 503, so that load balancers go elsewhere first.',
    ),
  shutdown_timeout: hardLimit
    .prefault('30s')
    .describe('After `drain_delay`, for running pulls to finish; 0 cuts them.'),
  client_stall_timeout: deadline.prefault('60s').describe('A client that reads nothing for this long is disconnected.'),
  max_header_bytes: size({ least: 1024, most: 2 ** 20, bare: true })
    .prefault('16KiB')
    .describe('The largest request head, in bytes.'),
});
