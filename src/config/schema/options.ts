import * as z from 'zod';

/** `max_size` → `maxSize` */
type CamelCase<Key> = Key extends `${infer Head}_${infer Tail}` ? `${Head}${Capitalize<CamelCase<Tail>>}` : Key;

/** Keys in camel case; a property that may be missing is missing, never undefined. */
type CamelCased<T> = {
  [Key in keyof T as CamelCase<Key> & PropertyKey]: object extends Pick<T, Key> ? Exclude<T[Key], undefined> : T[Key];
};

/**
 * A map of options: written `max_size`, in the program `maxSize`. A section so has the shape that a room takes, and the
 * schema is the only place that knows both spellings. Messages, paths and the manual use the spelling of the file.
 */
export function options<Shape extends z.core.$ZodLooseShape>(shape: Shape) {
  return z.strictObject(shape).transform((section) => camelCased(section));
}

function camelCased<T extends object>(section: T): CamelCased<T> {
  const entries = Object.entries(section).filter(([, value]) => value !== undefined);
  return Object.fromEntries(entries.map(([key, value]) => [camelCase(key), value])) as CamelCased<T>;
}

function camelCase(key: string): string {
  return key.replace(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase());
}

/** The spelling of the file for a key of the program: `maxSize` → `max_size`. */
export function optionName(key: string): string {
  return key.replace(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`);
}
