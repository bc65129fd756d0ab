/**
 * The HTTP API of administration: the operations of `admin/` under `/api/v1`, for programs and for the page.
 *
 * It knows a client by its credential or its session, and asks the gate before each operation. It never acts by itself: what an operation
 * does is declared in `admin/`. Only the door is loaded with the server; the rest is loaded at the first request.
 */
export { type ApiDoorOptions, createApiDoor, isOnThisMachine } from './door.ts';
export type { LiveSource } from './events/index.ts';
export type { OwnHosts } from './own-host.ts';
export type { ApiHost, Serving } from './serving.ts';
export type { SessionAnswer } from './session-desk.ts';

export const loadServing = (): Promise<typeof import('./serving.ts')> => import('./serving.ts');
