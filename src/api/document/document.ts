import { setImmediate as nextTurn } from 'node:timers/promises';
import type * as z from 'zod';
import { LIVE_EVENTS, methodOf, type Operation } from '../../admin/index.ts';
import { answerSchema, inputSchema, type Schema } from './schemas.ts';

type AnyOperation = Operation<unknown, unknown, never>;

interface DocumentParts {
  readonly version: string;
  /** Those that the API offers. */
  readonly operations: readonly AnyOperation[];
  readonly session: { readonly input: z.ZodType; readonly answer: z.ZodType };
  /** The query of the stream of events. */
  readonly events: z.ZodType;
}

/** The OpenAPI 3.1 document of the API. It is made in turns: all at once would hold pulls up for a tenth of a second. */
export async function createDocument({ version, operations, session, events }: DocumentParts): Promise<Schema> {
  const paths: Record<string, Record<string, Schema>> = {};
  for (const operation of operations) {
    await nextTurn();
    const path = (paths[`/api/v1/${operation.name}`] ??= {});
    path[methodOf(operation).toLowerCase()] = describeOperation(operation);
  }
  return {
    openapi: '3.1.0',
    info: {
      title: 'entrepot',
      version,
      summary: 'The administration of an entrepot server',
      description: ABOUT,
    },
    servers: [{ url: '/' }],
    security: [{ basic: [] }, { bearer: [] }, { session: [] }, {}],
    tags: [
      { name: 'status', description: 'Takes `may: [status]`.' },
      { name: 'admin', description: 'Takes `may: [admin]`.' },
      { name: 'session', description: 'Who a client is.' },
    ],
    paths: { ...paths, '/api/v1/session': describeSession(session), '/api/v1/events': describeEvents(events) },
    components: {
      securitySchemes: SECURITY,
      parameters: PARAMETERS,
      headers: HEADERS,
      responses: Object.fromEntries([
        ...Object.entries(PROBLEMS).map(([status, description]) => [`problem${status}`, problem(status, description)]),
        ['largeHead', LARGE_HEAD],
      ]),
      schemas: {
        Problem: PROBLEM,
        ...Object.fromEntries(
          Object.entries(LIVE_EVENTS).map(([kind, schema]) => [`event.${kind}`, answerSchema(schema)]),
        ),
      },
    },
  };
}

const ABOUT =
  'Read with GET, change with POST. Errors are problem documents (RFC 9457). A change with the cookie of a session shows the token of the session in `X-Entrepot-Token`. ' +
  'No answer names a repository that its client may not pull from.';

const SECURITY: Schema = {
  basic: { type: 'http', scheme: 'basic', description: 'A user and password, or a token in place of the password.' },
  bearer: { type: 'http', scheme: 'bearer', description: 'A token of this server.' },
  session: {
    type: 'apiKey',
    in: 'cookie',
    name: 'entrepot-5000',
    description:
      'Set by `POST /api/v1/session`. Its name ends with the port of the server, and begins with `__Secure-` where the server is reached by HTTPS.',
  },
};

const PARAMETERS: Schema = {
  token: {
    name: 'X-Entrepot-Token',
    in: 'header',
    description: 'The `token` of `GET /api/v1/session`; for a change with the cookie of a session.',
    schema: { type: 'string' },
  },
  active: {
    name: 'X-Entrepot-Active',
    in: 'header',
    description:
      '`1`: a person did something, and the session lasts on. Without it a request does not renew its session.',
    schema: { type: 'string' },
  },
  ifNoneMatch: { name: 'If-None-Match', in: 'header', schema: { type: 'string' } },
};

const HEADERS: Schema = {
  etag: { description: 'Weak. Send it in `If-None-Match`.', schema: { type: 'string' } },
  requestId: { description: 'Finds the request in the log.', schema: { type: 'string' } },
  retryAfter: { description: 'Seconds.', schema: { type: 'integer', minimum: 1 } },
  allow: { description: 'The methods of the path.', schema: { type: 'string' } },
};

/** What each status of an error says. */
const PROBLEMS: Readonly<Record<string, string>> = {
  400: 'The input is wrong; `errors` names each part of it.',
  401: 'The credential, code or session does not hold.',
  403: 'The client may not, the request comes from a page of another site, or a change lacks the token of its session.',
  404: 'What was named is not there.',
  405: 'The path has other methods.',
  408: 'The body did not come in time.',
  409: 'The state of what was named does not allow it.',
  413: 'The body has more than 64 KiB.',
  415: 'The body is not sent as JSON.',
  421: 'The host is none of this server.',
  422: 'The operation cannot be done as it was asked for.',
  429: 'Too many passwords were wrong, or too many streams are open.',
  500: 'The server has a defect; its log says more.',
  502: 'An upstream failed.',
  503: 'The server is too busy, or stops.',
  507: 'The disk of the server is full, and the operation has to write.',
};

const PROBLEM: Schema = {
  type: 'object',
  description: 'RFC 9457.',
  properties: {
    type: { type: 'string', description: '`about:blank`: the status says what kind it is.' },
    title: { type: 'string' },
    status: { type: 'integer' },
    detail: { type: 'string', description: 'What is wrong, and the remedy.' },
    errors: {
      type: 'array',
      items: {
        type: 'object',
        properties: {
          pointer: { type: 'string', description: 'Into the body (RFC 6901).' },
          parameter: { type: 'string', description: 'Of the query.' },
          detail: { type: 'string' },
        },
        required: ['detail'],
      },
    },
  },
  required: ['type', 'title', 'status', 'detail'],
};

function problem(status: string, description: string): Schema {
  const more: Record<string, Schema> = { 'x-request-id': ref('headers', 'requestId') };
  if (status === '405') more['allow'] = ref('headers', 'allow');
  if (status === '429' || status === '503') more['retry-after'] = ref('headers', 'retryAfter');
  return {
    description,
    headers: more,
    content: { 'application/problem+json': { schema: ref('schemas', 'Problem') } },
  };
}

function ref(kind: string, name: string): Schema {
  return { $ref: `#/components/${kind}/${name}` };
}

function problems(...statuses: readonly number[]): Record<string, Schema> {
  const named = statuses.map((status) => [String(status), ref('responses', `problem${status}`)]);
  return { ...Object.fromEntries(named), '431': ref('responses', 'largeHead') };
}

/** Of every request. */
const ALWAYS = [400, 401, 403, 405, 421, 429, 500, 503];
/** The head is refused before it is a request of the API: in the form of the registry (distribution-spec, "Error Codes"). */
const LARGE_HEAD: Schema = {
  description: 'The head of the request is too large.',
  content: {
    'application/json': {
      schema: {
        type: 'object',
        properties: {
          errors: {
            type: 'array',
            items: {
              type: 'object',
              properties: { code: { type: 'string' }, message: { type: 'string' } },
              required: ['code', 'message'],
            },
          },
        },
        required: ['errors'],
      },
    },
  },
};

/** Of every request with a body. */
const OF_BODIES = [408, 413, 415];
/** Where an operation refuses. */
const OF_OPERATIONS = [404, 409, 422, 502, 507];

function ok(schema: Schema, headers: Readonly<Record<string, Schema>> = {}): Schema {
  return {
    description: 'Done.',
    headers: { 'x-request-id': ref('headers', 'requestId'), ...headers },
    content: { 'application/json': { schema } },
  };
}

function describeOperation(operation: AnyOperation): Schema {
  const { name, summary, action, changes, input, answer } = operation;
  const schema = inputSchema(input);
  const common = {
    operationId: `${methodOf(operation).toLowerCase()}.${name.replaceAll('/', '.')}`,
    summary,
    tags: [action],
  };
  if (!changes) {
    return {
      ...common,
      parameters: [...queryOf(schema), ref('parameters', 'ifNoneMatch'), ref('parameters', 'active')],
      responses: {
        200: ok(answerSchema(answer), { etag: ref('headers', 'etag') }),
        304: { description: 'The client has the answer already.' },
        ...problems(...ALWAYS, ...OF_OPERATIONS),
      },
    };
  }
  return {
    ...common,
    parameters: [ref('parameters', 'token'), ref('parameters', 'active')],
    requestBody: { required: true, content: { 'application/json': { schema } } },
    responses: { 200: ok(answerSchema(answer)), ...problems(...ALWAYS, ...OF_BODIES, ...OF_OPERATIONS) },
  };
}

/** The members of an input as parameters of a query. */
function queryOf({ properties = {}, required = [] }: Schema): readonly Schema[] {
  return Object.entries(properties as Readonly<Record<string, Schema>>).map(([name, { description, ...schema }]) => ({
    name,
    in: 'query',
    required: (required as readonly string[]).includes(name),
    ...(description === undefined ? {} : { description }),
    schema,
    ...(schema['type'] === 'array' ? { style: 'form', explode: true } : {}),
  }));
}

function describeSession({ input, answer }: DocumentParts['session']): Readonly<Record<string, Schema>> {
  const told = ok(answerSchema(answer), { 'set-cookie': { schema: { type: 'string' } } });
  return {
    get: {
      operationId: 'get.session',
      summary: 'Who the client is, and what it may do',
      tags: ['session'],
      parameters: [ref('parameters', 'ifNoneMatch'), ref('parameters', 'active')],
      responses: {
        200: ok(answerSchema(answer), { etag: ref('headers', 'etag') }),
        304: { description: 'The client has the answer already.' },
        ...problems(...ALWAYS),
      },
    },
    post: {
      operationId: 'post.session',
      summary: 'Begin a session, with a user and password or a code of `entrepot console`',
      tags: ['session'],
      requestBody: { required: true, content: { 'application/json': { schema: inputSchema(input) } } },
      responses: { 200: told, ...problems(...ALWAYS, ...OF_BODIES) },
    },
    delete: {
      operationId: 'delete.session',
      summary: 'End the session',
      tags: ['session'],
      parameters: [ref('parameters', 'token')],
      responses: { 200: told, ...problems(...ALWAYS) },
    },
  };
}

function describeEvents(input: z.ZodType): Readonly<Record<string, Schema>> {
  const kinds = Object.entries(LIVE_EVENTS).map(
    ([kind, { description = '' }]) => `- \`${kind}\` (\`#/components/schemas/event.${kind}\`): ${description}`,
  );
  return {
    get: {
      operationId: 'get.events',
      summary: 'What happens, as it happens',
      description: `Server-sent events. The \`event\` of a message is its kind, and its \`data\` is JSON:\n\n${kinds.join('\n')}`,
      tags: ['status'],
      parameters: [
        ...queryOf(inputSchema(input)),
        {
          name: 'Last-Event-ID',
          in: 'header',
          description: 'The `id` of the last message: what came since is sent again, or else a message `gap`.',
          schema: { type: 'string' },
        },
      ],
      responses: {
        200: {
          description: 'It goes on until one side ends it.',
          content: { 'text/event-stream': { schema: { type: 'string' } } },
        },
        ...problems(...ALWAYS),
      },
    },
  };
}
