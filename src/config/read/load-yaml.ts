/** Imports `yaml` on first use: a server on its defaults starts without it. The only import of it, see app/settings/lazy.ts. */
export async function loadYaml(): Promise<typeof import('yaml')> {
  return (await import('yaml')).default;
}
