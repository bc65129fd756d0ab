// What most servers never need, and what brings along what talks to other servers. Each is imported here alone: see
// src/late-parts.ts.

/** What answers for mirror routes. */
export async function loadMirror(): Promise<Pick<typeof import('./mirror.ts'), 'answerMirror'>> {
  return import('./mirror.ts');
}

/** The forward proxy. */
export async function loadForward(): Promise<
  Pick<typeof import('./forward.ts'), 'createForward'> & Pick<typeof import('./mitm.ts'), 'createInterceptor'>
> {
  const [{ createForward }, { createInterceptor }] = await Promise.all([import('./forward.ts'), import('./mitm.ts')]);
  return { createForward, createInterceptor };
}
