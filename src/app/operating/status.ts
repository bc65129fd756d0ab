import { describeServer, type ServerStatus } from '../../admin/index.ts';
import { describeCertificates } from '../acme.ts';
import { describeUpstreams } from '../generation.ts';
import type { RunningServer } from '../running-server.ts';

export function statusOf(server: RunningServer): Promise<ServerStatus> {
  const { live, parts, version, listeners, startedAt, frontDoor, processContext } = server;
  const { current } = live;
  const { config, source, notes } = current;
  const { admission, cache, hosted, upstreamSets } = parts;
  const upstreams = describeUpstreams(current, upstreamSets);
  const certificates = describeCertificates(frontDoor, processContext.acme);
  const own = { version, listeners, certificates, webhooks: parts.webhooks.status, startedAt };
  return describeServer({ config, source, notes, upstreams, admission, cache, hosted, ...own });
}
