import { nameOf } from '../access/index.ts';
import { type Caller, methodOf, type Operation, refusalOf } from '../admin/index.ts';
import type { PassedGate } from '../server/index.ts';
import { readJson } from './body.ts';
import { ApiProblem } from './problem.ts';
import { checkInput, readQuery } from './query.ts';
import { answerJson, methodRefused } from './reply.ts';
import type { GatedRequest } from './request.ts';

interface OperationsOptions<Context> {
  readonly operations: readonly Operation<unknown, unknown, NoInfer<Context>>[];
  readonly context: Context;
  readonly callerOf: (gate: PassedGate) => Caller;
}

/** Runs the operation of a name: its input from the query or the body, its answer as JSON. */
export function createOperations<Context>({ operations, context, callerOf }: OperationsOptions<Context>) {
  const byName = new Map<string, Map<string, (typeof operations)[number]>>();
  for (const operation of operations.filter(isOffered)) {
    const methods = byName.get(operation.name) ?? new Map<string, typeof operation>();
    byName.set(operation.name, methods.set(methodOf(operation), operation));
  }
  return async (request: GatedRequest, name: string): Promise<void> => {
    const { context: exchange, gate } = request;
    const methods = byName.get(name);
    if (methods === undefined) {
      throw new ApiProblem(404, 'this server has no such operation; /api/openapi.json lists all of them', {
        headers: exchange.isReading ? {} : { connection: 'close' },
      });
    }
    const operation = methods.get(exchange.isHead ? 'GET' : exchange.method);
    if (operation === undefined) throw methodRefused(exchange, [...methods.keys()]);
    requireRight(request, operation);
    const input = await inputOf(operation, exchange);
    const answer = await run(operation, { input, context, caller: callerOf(gate) });
    answerJson(exchange, answer);
  };
}

export function isOffered({ socketOnly = false }: Pick<Operation<unknown, unknown, never>, 'socketOnly'>): boolean {
  return !socketOnly;
}

/** The gate was asked by the method alone: what reads may need more. @throws {ApiProblem} 403 */
function requireRight(
  { context: { isReading }, gate: { principal, authorize }, guard, opensAll }: GatedRequest,
  { action }: Pick<Operation<unknown, unknown, never>, 'action'>,
): void {
  if (!isReading || action === 'status' || opensAll) return;
  const decision = authorize({ principal, action, repository: undefined });
  if (decision.allowed) return;
  const remedy = guard === undefined ? 'run `entrepot console`' : 'it takes a rule with may: [admin]';
  throw new ApiProblem(403, `this operation shows more than ${nameOf(principal)} may see; ${remedy}`);
}

function inputOf(operation: Operation<unknown, unknown, never>, exchange: GatedRequest['context']): unknown {
  if (!operation.changes) {
    return checkInput(operation.input, readQuery(exchange.query, operation.input), { isQuery: true });
  }
  if (exchange.query !== '') throw new ApiProblem(400, 'a change takes its input as JSON in the body, and no query');
  return readJson(exchange).then((body) => checkInput(operation.input, body, { isQuery: false }));
}

/** @throws {ApiProblem} where the operation refuses */
async function run<Context>(
  operation: Operation<unknown, unknown, Context>,
  { input, context, caller }: { readonly input: unknown; readonly context: Context; readonly caller: Caller },
): Promise<unknown> {
  try {
    return await operation.handle(input, context, caller);
  } catch (error) {
    const refusal = refusalOf(error);
    if (refusal === undefined) throw error;
    throw new ApiProblem(refusal.status, refusal.message, { cause: error });
  }
}
