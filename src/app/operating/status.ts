import { describeServer, type ServerStatus } from '../../admin/index.ts';
import { describeCertificates } from '../acme.ts';
import { describeUpstreams } from '../generation.ts';
import type { RunningServer } from '../running-server.ts';
import { routesOf } from './routes.ts';

export async function statusOf(server: RunningServer): Promise<ServerStatus> {
  const { live, parts, version, listeners, startedAt, frontDoor, processContext } = server;
  const { current } = live;
  const { config, source, notes } = current;
  const { admission, cache, hosted, upstreamSets } = parts;
  const upstreams = describeUpstreams(current, upstreamSets);
  const certificates = describeCertificates(frontDoor, processContext.acme);
  const own = { version, listeners, certificates, webhooks: parts.webhooks.status, startedAt };
  const routes = await routesOf(server);
  return describeServer({ routes, config, source, notes, upstreams, admission, cache, hosted, ...own });
}
