import * as z from 'zod';
import { configSchema } from '../schema/index.ts';

/**
 * The JSON Schema of a configuration file, for editors and other checkers (draft 7, the most widely supported).
 *
 * It accepts a little more than the loader (it cannot express a duration), and never less.
 */
export function jsonSchema(): Record<string, unknown> {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    target: 'draft-7',
    override: ({ jsonSchema: node }) => {
      // A key without a value (`cache:`, `ghcr.io:`) means its defaults: see toPlain.
      if (node.type === 'object' && node.properties !== undefined && node.required === undefined) {
        node.type = ['object', 'null'] as unknown as 'object';
      }
    },
  });
  return {
    ...schema,
    title: 'entrepot',
    description: 'The configuration of entrepot, a pull-through registry mirror.',
    type: 'object',
  };
}
