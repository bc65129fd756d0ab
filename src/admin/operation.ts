import type * as z from 'zod';
import type { Action } from '../access/index.ts';
import type { Repository } from '../oci/index.ts';

/** Who calls an operation, as far as its answer depends on it. */
export interface Caller {
  /** As rules write it: `alice`, `token:ci`, `anonymous`; `operator` on the control socket. */
  readonly name: string;
  /** True: it sees every repository, and `sees` need not be asked. */
  readonly seesAll: boolean;
  /** Whether it may pull from a repository. An answer names no repository that its caller may not pull from. */
  readonly sees: (repository: Repository) => boolean | Promise<boolean>;
  /** Whether it may push to a repository, by the rules alone: whether anything can be pushed there is another question. */
  readonly mayPush: (repository: Repository) => boolean;
  /** Whether it may know who pulls: the names and addresses of others. Those who may administer may. */
  readonly seesClients: boolean;
}

/** The caller of the control socket. */
export const OPERATOR: Caller = {
  name: 'operator',
  seesAll: true,
  sees: () => true,
  mayPush: () => true,
  seesClients: true,
};

/**
 * One administrative operation, defined once: the control socket and the HTTP API serve it, their clients check the answer by
 * the same schema, and the OpenAPI document is made of it. Field names go over the wire as they stand here, between versions too: a field that is added is optional, and a
 * reader lets unknown fields through.
 */
export interface Operation<Input, Answer, Context> {
  /** Its path: `/<name>` on the control socket, `/api/v1/<name>` by HTTP. */
  readonly name: string;
  /** One sentence for the OpenAPI document, without a full stop. */
  readonly summary: string;
  /** True: the control socket alone offers it. @default false */
  readonly socketOnly?: boolean;
  /**
   * What the gate is asked before a client may run it: `status` for what only reads and names no repository that its caller may
   * not see, `admin` for all else. The control socket asks nothing: its file mode 0600 is its authority.
   */
  readonly action: Action;
  /** True: it may change something, and is called by POST. False: it only reads, by GET. */
  readonly changes: boolean;
  readonly input: z.ZodType<Input>;
  readonly answer: z.ZodType<Answer>;
  /**
   * A method, so that operations of different inputs fit one list; callers check the input by `input` first. An error is
   * answered with its message, redacted.
   */
  handle(input: Input, context: Context, caller: Caller): Answer | Promise<Answer>;
}

/** An operation of the control socket that takes a stream of bytes of any length, by POST. */
export interface UploadOperation<Answer, Context> {
  /** Its path: `/<name>`. */
  readonly name: string;
  readonly answer: z.ZodType<Answer>;
  /** It may leave the rest of the body unread. An error is answered with its message, redacted. */
  receive(body: AsyncIterable<Buffer>, context: Context): Promise<Answer>;
}

/**
 * For a caller of a handler without the control socket: what the socket would refuse the input for, such as
 * `patterns: expected at least one image, tag or digest`; undefined where it takes it.
 */
export function faultOfInput<Input>({ input }: { readonly input: z.ZodType<Input> }, value: Input): string | undefined {
  // As it arrives there: JSON has no undefined values.
  const { error } = input.safeParse(JSON.parse(JSON.stringify(value)));
  return error === undefined ? undefined : describeIssues(error);
}

/** `patterns: expected at least one image, tag or digest` */
export function describeIssues({ issues }: z.ZodError): string {
  return issues.map(({ path, message }) => [...path, message].join(': ')).join('; ');
}

/** The HTTP method of an operation. */
export function methodOf({ changes }: Pick<Operation<unknown, unknown, never>, 'changes'>): 'GET' | 'POST' {
  return changes ? 'POST' : 'GET';
}
