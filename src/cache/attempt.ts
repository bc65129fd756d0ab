import type { Telemetry } from '../telemetry/index.ts';

/**
 * Does work on the disk or the database whose failure must not fail a request: it is published as a warning, and the result
 * is undefined.
 */
export async function attempt<T>(
  work: () => Promise<T>,
  { telemetry, message }: { readonly telemetry: Telemetry; readonly message: string },
): Promise<T | undefined> {
  try {
    return await work();
  } catch (error) {
    telemetry.publish('warning', { message, error });
    return undefined;
  }
}
