/**
 * The findings of `entrepot doctor`: on the server, its disk, the clock, the upstreams, an image, and the clients of this
 * machine; each with a remedy.
 *
 * It never changes a file, sends no secret but the login that it is given, to that server alone, and never knows the configuration: `cli/` gives it what it examines. Only
 * the pulls that the operator asks for are started, and what they store is removed again.
 */
export { type CanaryClient, canaryFindings, type PullBy } from './canary.ts';
export { type ClientReport, clientFinding, provingRegistry } from './clients.ts';
export { clockFinding } from './clock.ts';
export { diskFindings } from './disk.ts';
export { FINDINGS, type Finding, type FindingId, type FindingState, failed, ok, skipped } from './finding.ts';
export { imageFindings, type NamedImage, servedFinding } from './image.ts';
export { loginFindings } from './login.ts';
export { addressFindings, statusFindings } from './server.ts';
export { type Login, ServerClient } from './server-client.ts';
export { upstreamFindings } from './upstreams.ts';
