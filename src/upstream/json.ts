import { atOnce, type Pieces, parseBoundedJsonInPieces } from '../lib/index.ts';

/** A JSON object, with whatever fields its sender put into it. */
export type JsonObject = Readonly<Record<string, unknown>>;

/** Reads a JSON object; undefined where the bytes are anything else. */
export function parseJsonObject(bytes: Buffer): JsonObject | undefined {
  return atOnce(parseJsonObjectInPieces(bytes));
}

/** As {@link parseJsonObject}, for what may have megabytes. */
export function* parseJsonObjectInPieces(bytes: Buffer): Pieces<JsonObject | undefined> {
  try {
    const value: unknown = yield* parseBoundedJsonInPieces(bytes);
    return typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as JsonObject) : undefined;
  } catch {
    return undefined;
  }
}
