import type { IncomingMessage, ServerResponse } from 'node:http';
import { ANONYMOUS, authorize } from '../access/index.ts';
import { continueVia, loopIn } from '../lib/index.ts';
import { loopDetected, OciError } from '../oci/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import type { Door, DoorRequest } from './door.ts';
import { ClientLeftError, isBodyEmpty, RequestContext, replyError } from './exchange/index.ts';
import type { Admission } from './limits/index.ts';

interface DispatchOptions {
  /** The first door that recognizes a request handles it. The last one recognizes every request. */
  readonly doors: readonly Door[];
  readonly telemetry: Telemetry;
  /** The name of this server in `Via`; see `createPseudonym`. */
  readonly pseudonym: string;
  /** Gives out the slots of `limits.max_inflight`. @default no limit */
  readonly admission?: Admission | undefined;
}

/**
 * Takes each request through its door: loop, slot, parse, gate, answer, in this order for every door. docs/request-flow.md draws
 * the way; a change here is a change there.
 *
 * Rejects only where not even an error could be answered. The caller handles that: one request never ends the process.
 */
export function createDispatch(
  options: DispatchOptions,
): (request: IncomingMessage, response: ServerResponse) => Promise<void> {
  const { doors, telemetry } = options;
  return async (request, response) => {
    const context = new RequestContext(request, response, telemetry);
    let opened: DoorRequest | undefined;
    try {
      for (const door of doors) {
        opened = door.open(context);
        if (opened !== undefined) break;
      }
      if (opened === undefined) throw new OciError('UNSUPPORTED', 'nothing is served at this path', { status: 404 });
      await pass(context, opened, options);
    } catch (error) {
      fail(context, error, opened, telemetry);
    }
  };
}

async function pass(
  context: RequestContext,
  opened: DoorRequest,
  { admission, pseudonym }: DispatchOptions,
): Promise<void> {
  if (opened.takesSlot) {
    const { headers, httpVersion: version } = context.request;
    // Before it waits for anything: the request behind it holds a slot, and the answer that it would join waits for it.
    const loop = loopIn(headers.via, pseudonym);
    if (loop !== undefined) throw loopDetected(loop);
    context.via = continueVia(headers.via, { pseudonym, version });
  }
  // A GET takes no body, and one without bytes is none. Before the slot: the client may let it wait.
  if (context.isReading && context.hasBody) context.hasBody = !(await isBodyEmpty(context.request));
  // Before the request is parsed, so that a malformed request counts against its client's rate too.
  if (opened.takesSlot) await admission?.admit(context);
  const { access, answer } = opened.parse();
  // The gate comes before the cache: what is cached for one client is never shown to another who may not see it.
  if (access !== undefined) {
    const decision = authorize({ principal: ANONYMOUS, ...access });
    if (!decision.allowed) throw new OciError('DENIED', decision.reason);
  }
  await answer();
}

function fail(context: RequestContext, error: unknown, opened: DoorRequest | undefined, telemetry: Telemetry): void {
  if (error instanceof ClientLeftError || context.response.destroyed) {
    context.response.destroy();
    return;
  }
  if (opened?.fail?.(error) === true) return;
  if (error instanceof OciError) return replyError(context, error);
  telemetry.publish('warning', { message: `Cannot answer ${context.method} ${context.path}`, error });
  replyError(context, new OciError('UNKNOWN', `internal error; the log has more under ${context.id}`));
}
