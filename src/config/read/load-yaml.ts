/** `yaml`, on first use: a server that runs on its defaults starts without it. Imported here alone: see src/late-parts.ts. */
export async function loadYaml(): Promise<typeof import('yaml')> {
  return (await import('yaml')).default;
}
