import type { HostingRules } from '../../hosting/index.ts';
import { OciError } from '../../oci/index.ts';
import { discardBody } from '../../server/index.ts';
import type { RegistryRequest } from '../request.ts';
import type { PushedRows, Row } from '../row.ts';

interface ClosedRowsOptions {
  readonly rules: () => HostingRules;
  /** Opens what hosts, and gives its rows; it is called at most once at a time. */
  readonly open: () => Promise<PushedRows>;
  readonly through?: PushedRows | undefined;
  /** Milliseconds between two attempts. @default 5 seconds */
  readonly retryEvery?: number | undefined;
}

const RETRY_EVERY = 5_000;

/**
 * The rows of hosted repositories whose bytes or records cannot be opened: each answers 503, and the first request after a while tries to
 * open them again. So what is mirrored is served meanwhile, and a hosted repository is not asked of an upstream that has its name.
 */
export function createClosedRows({ rules, open, through, retryEvery = RETRY_EVERY }: ClosedRowsOptions): PushedRows {
  let opened: PushedRows | undefined;
  let opening: Promise<void> | undefined;
  let triedAt = performance.now();

  async function tryAgain(): Promise<void> {
    if (opened !== undefined || performance.now() - triedAt < retryEvery) return;
    opening ??= attempt().finally(() => {
      opening = undefined;
    });
    await opening;
  }

  async function attempt(): Promise<void> {
    try {
      opened = await open();
    } catch {
      triedAt = performance.now();
    }
  }

  async function answer(...[request, gate]: Parameters<Row['answer']>): Promise<void> {
    await tryAgain();
    const row = opened?.rowOf(request);
    if (row !== undefined) return row.answer(request, gate);
    await discardBody(request.context);
    throw new OciError('UNAVAILABLE', CLOSED, { retryAfter: Math.ceil(retryEvery / 1000) });
  }

  return {
    rowOf(request) {
      if (opened !== undefined) return opened.rowOf(request);
      const { path, repository, context } = request;
      if (path.kind === 'base') return undefined;
      if (path.kind === 'catalog') {
        const hasHosted = (rules().specOf(repository.registry)?.hosted.length ?? 0) > 0;
        return hasHosted && context.isReading ? { action: 'catalog', wanted: 'list', answer } : undefined;
      }
      const home = rules().homeOf(repository);
      if (home === 'mirrored') return undefined;
      if (home === 'pushed through') return through?.rowOf(request);
      return { ...claimOf(request), isPublic: () => false, answer };
    },
  };
}

const CLOSED = 'the hosted repositories of this server cannot be used now; its operator finds the reason in its log';

/** What the gate and the client are told of a request, as where its repository is open. */
function claimOf({ path, context }: RegistryRequest): Pick<Row, 'action' | 'wanted' | 'scope'> {
  const wanted = path.kind === 'manifest' ? 'manifest' : path.kind === 'blob' ? 'blob' : 'list';
  if (path.kind === 'uploads') return { action: 'push', wanted: 'blob', scope: 'pull,push' };
  if (context.isReading) return { action: 'pull', wanted, scope: 'pull' };
  if (context.method === 'DELETE') return { action: 'delete', wanted, scope: 'delete' };
  return { action: 'push', wanted, scope: 'pull,push' };
}
