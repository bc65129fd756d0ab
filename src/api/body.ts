import { JsonBoundError, parseBoundedJson } from '../lib/index.ts';
import { type RequestContext, readBody } from '../server/index.ts';
import { ApiProblem } from './problem.ts';

const MAX_BODY = 64 * 1024;

/**
 * The JSON body of a change; an empty one is `{}`. A page of another site can send any other type without being asked.
 *
 * @throws {ApiProblem} 415 for another type, 400 for what is not JSON @throws {OciError} 413 and 408
 */
export async function readJson(context: RequestContext): Promise<unknown> {
  const type = context.request.headers['content-type'];
  if (type === undefined || !/^application\/json *(?:;|$)/i.test(type)) {
    const found = type === undefined ? 'no content-type' : `content-type ${type.slice(0, 100)}`;
    throw new ApiProblem(415, `found ${found}; send the input as JSON, with content-type: application/json`, {
      headers: { connection: 'close', accept: 'application/json' },
    });
  }
  const body = await readBody(context, { limit: MAX_BODY, what: 'the body', deadline: 10_000 });
  if (body.length === 0) return {};
  try {
    return parseBoundedJson(body);
  } catch (error) {
    if (error instanceof JsonBoundError) throw new ApiProblem(400, `the body is refused: ${error.message}`);
    throw new ApiProblem(400, 'the body is not JSON');
  }
}
