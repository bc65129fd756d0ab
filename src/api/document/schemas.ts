import * as z from 'zod';

/** A JSON Schema (2020-12), as OpenAPI 3.1 takes it. */
export type Schema = Readonly<Record<string, unknown>>;

/** What a client sends. Members with a default may be left out. */
export function inputSchema(schema: z.ZodType): Schema {
  return cleaned(z.toJSONSchema(schema, { io: 'input' }));
}

/** What the server answers. Members may be added, so none but those of here is not promised. */
export function answerSchema(schema: z.ZodType): Schema {
  return cleaned(z.toJSONSchema(schema, { io: 'output' }));
}

/** Without `$schema`, which OpenAPI says once, and open for members to come. */
function cleaned(schema: unknown): Schema {
  return open(schema) as Schema;
}

function open(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(open);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([name, member]) => name !== '$schema' && !(name === 'additionalProperties' && member === false))
      .map(([name, member]) => [name, open(member)]),
  );
}
