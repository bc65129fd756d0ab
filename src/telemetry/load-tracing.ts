/** Loads the making of traces, which most servers do not use. */
export function loadTracing(): Promise<typeof import('./tracing/index.ts')> {
  return import('./tracing/index.ts');
}
