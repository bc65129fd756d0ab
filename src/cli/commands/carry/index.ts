/**
 * The commands that fill a cache and carry it elsewhere.
 *
 * It never fetches an image itself: a running server does.
 */
export { addCarryCommands } from './commands.ts';

/** What `import` does with a bundle. */
export const loadBundleImport = (): Promise<typeof import('./import-bundle.ts')> => import('./import-bundle.ts');
