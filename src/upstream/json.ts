import { parseBoundedJson } from '../lib/index.ts';

/** A JSON object, with whatever fields its sender put into it. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Reads a JSON object; undefined where the bytes are anything else. */
export function parseJsonObject(bytes: Buffer): JsonObject | undefined {
  try {
    const value: unknown = parseBoundedJson(bytes);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}
