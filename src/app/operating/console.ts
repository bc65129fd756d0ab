import { type ConsoleAnswer, OperationError } from '../../admin/index.ts';
import type { RunningServer } from '../running-server.ts';

/** A code for one session of the operator, and where the page is. @throws {OperationError} where there is no page */
export async function openConsole(server: RunningServer): Promise<ConsoleAnswer> {
  if (!server.live.current.config.admin.enabled) {
    throw new OperationError('the page is off; set admin: {enabled: true}, and run entrepot reload');
  }
  const { code, expiresAt } = (await server.processContext.api.serving()).issueCode();
  return { code, expiresAt, urls: pagesOf(server) };
}

/** The public URLs first, since they hold for every machine, and then the listeners that serve the page. */
function pagesOf({ live, listeners }: RunningServer): readonly string[] {
  const { publicUrl, admin } = live.current.config;
  const isApart = admin.listen.length > 0;
  const own = listeners.flatMap(({ address, protocol, port, redirectToHttps, admin: isAdmin = false }) => {
    if (port === undefined || redirectToHttps || isAdmin !== isApart) return [];
    return `${protocol}://${reachable(address.slice(0, address.lastIndexOf(':')))}:${port}`;
  });
  // A public URL is that of the other listeners then.
  const bases = isApart ? own : [...publicUrl, ...own];
  return [...new Set(bases.map((base) => new URL('/ui/', base).href))];
}

/** A host at which this machine reaches a listener: every address is no address to go to. */
function reachable(host: string): string {
  if (host === '0.0.0.0') return '127.0.0.1';
  return host === '[::]' || host === '*' ? 'localhost' : host;
}
