import { join } from 'node:path';

/** The file of the deliveries of webhooks in a cache directory. */
export function deliveryFile(directory: string): string {
  return join(directory, 'webhooks.db');
}
