/** The forward proxy, which is imported where one is configured: it brings along what talks to other servers. */
export async function loadForward(): Promise<
  Pick<typeof import('./forward.ts'), 'createForward'> & Pick<typeof import('./mitm.ts'), 'createInterceptor'>
> {
  const [{ createForward }, { createInterceptor }] = await Promise.all([import('./forward.ts'), import('./mitm.ts')]);
  return { createForward, createInterceptor };
}
