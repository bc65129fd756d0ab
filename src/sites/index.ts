/**
 * Mirror routes: other sites under a path of this server, with their redirects and links rewritten.
 *
 * It never serves a registry, and never follows a redirect to an address that the route does not allow.
 */
export { createSitesDoor, type Mirrors } from './handler.ts';
export { MirrorRoutes } from './routes.ts';
