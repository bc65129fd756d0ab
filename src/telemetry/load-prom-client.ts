/** `prom-client`, when somebody asks for metrics. Imported here alone: see src/late-parts.ts. */
export async function loadPromClient(): Promise<typeof import('prom-client')> {
  return (await import('prom-client')).default;
}
