import * as z from 'zod';
import { ApiProblem, type InputFault } from './problem.ts';

/** A JSON Schema, as far as a query is read by it. */
interface Schema {
  readonly type?: string;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly properties?: Readonly<Record<string, Schema>>;
}

const known = new WeakMap<z.ZodType, Readonly<Record<string, Schema>>>();

/** The members of an input that is a query. */
function membersOf(input: z.ZodType): Readonly<Record<string, Schema>> {
  const made = known.get(input) ?? (z.toJSONSchema(input, { io: 'input' }) as Schema).properties ?? {};
  known.set(input, made);
  return made;
}

/**
 * The input of an operation from a query: numbers and booleans as the schema has them, a parameter that is repeated as a list.
 *
 * @throws {ApiProblem} 400 that names each parameter that is unknown, repeated or of another type
 */
export function readQuery(query: string, input: z.ZodType): Readonly<Record<string, unknown>> {
  const members = membersOf(input);
  const parameters = new URLSearchParams(query);
  const faults: InputFault[] = [];
  // Without a prototype: `__proto__` is a name like any other.
  const read: Record<string, unknown> = Object.create(null);
  for (const name of new Set(parameters.keys())) {
    const parameter = name.slice(0, 100);
    const schema = Object.hasOwn(members, name) ? members[name] : undefined;
    if (schema === undefined) {
      const names = Object.keys(members);
      const there = names.length === 0 ? 'this operation has none' : `there are ${names.join(', ')}`;
      faults.push({ parameter, detail: `unknown parameter; ${there}` });
      continue;
    }
    const values = parameters.getAll(name);
    if (schema.type !== 'array' && values.length > 1) {
      faults.push({ parameter, detail: `given ${values.length} times; expected it once` });
    } else if (schema.type === 'array') read[name] = values.map((value) => typed(value, schema.items ?? {}));
    else read[name] = typed(values[0] ?? '', schema);
  }
  if (faults.length > 0) throw badInput('a parameter of the query is wrong', faults.slice(0, MAX_FAULTS));
  return { ...read };
}

/** A value as its schema has it; a text where it is none of that kind, which the schema then refuses. */
function typed(text: string, schema: Schema): unknown {
  const types = schema.anyOf?.map(({ type }) => type) ?? [schema.type];
  if ((types.includes('number') || types.includes('integer')) && /^-?\d{1,16}(?:\.\d{1,10})?$/.test(text))
    return Number(text);
  if (types.includes('boolean') && (text === 'true' || text === 'false')) return text === 'true';
  return text;
}

/** Faults that one answer names. */
const MAX_FAULTS = 20;

export function badInput(detail: string, errors: readonly InputFault[]): ApiProblem {
  return new ApiProblem(400, detail, { errors });
}

/**
 * An input, checked.
 *
 * @throws {ApiProblem} 400 that names each part that is wrong
 */
export function checkInput<Input>(
  schema: z.ZodType<Input>,
  value: unknown,
  { isQuery }: { readonly isQuery: boolean },
): Input {
  const checked = schema.safeParse(value);
  if (checked.success) return checked.data;
  const errors = checked.error.issues.slice(0, MAX_FAULTS).map(({ path, message }): InputFault => {
    if (isQuery) return { parameter: String(path[0] ?? ''), detail: message };
    return { pointer: path.map((step) => `/${escape(String(step))}`).join(''), detail: message };
  });
  throw badInput(isQuery ? 'a parameter of the query is wrong' : 'the body is not what the operation expects', errors);
}

/** RFC 6901, section 3. */
function escape(step: string): string {
  return step.slice(0, 100).replaceAll('~', '~0').replaceAll('/', '~1');
}
