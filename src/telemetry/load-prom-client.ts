/** Loads `prom-client` when metrics are first read. Nothing else imports it, so a start does not pay for it. */
export async function loadPromClient(): Promise<typeof import('prom-client')> {
  return (await import('prom-client')).default;
}
