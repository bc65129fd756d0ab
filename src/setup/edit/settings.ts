import type { Setting, SettingValue } from '../../clients/index.ts';

/** A layout that is valid and that this program does not change. The message ends the sentence "FILE …". */
export class OddLayoutError extends Error {
  override readonly name = 'OddLayoutError';
}

/** Whether the data says what the setting asks for. An element may be anywhere in its list: the order is the user's. */
export function isSet(data: unknown, setting: Setting): boolean {
  const value = valueAt(data, setting.at);
  if ('first' in setting) return Array.isArray(value) && value.some((each) => isSameAddress(each, setting.first));
  return isSameValue(value, setting.set);
}

/**
 * The data with the setting in it; the rest is the same.
 *
 * @throws OddLayoutError if something else than a map or a list is in the way
 */
export function withSetting(data: unknown, setting: Setting): unknown {
  if (isSet(data, setting)) return data;
  return changed(data, setting.at, (value) => {
    if (!('first' in setting)) return setting.set;
    if (value === undefined || value === null) return [setting.first];
    if (!Array.isArray(value)) throw new OddLayoutError(`has a ${nameOf(setting.at)} that is not a list`);
    return [setting.first, ...value];
  });
}

function changed(data: unknown, [key, ...rest]: readonly string[], change: (value: unknown) => unknown): unknown {
  if (key === undefined) return change(data);
  if (data !== undefined && data !== null && !isMap(data)) {
    throw new OddLayoutError(`has a value where ${JSON.stringify(key)} would have to be a key`);
  }
  return { ...data, [key]: changed(data?.[key], rest, change) };
}

/** The value at these keys; undefined where there is none. */
export function valueAt(data: unknown, at: readonly string[]): unknown {
  return at.reduce<unknown>((value, key) => (isMap(value) && Object.hasOwn(value, key) ? value[key] : undefined), data);
}

export function isMap(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value) && !(value instanceof Date);
}

/** For people: `plugins."io.containerd.grpc.v1.cri".registry` */
export function nameOf(at: readonly string[]): string {
  return at.map((key) => (/^[\w-]+$/.test(key) ? key : JSON.stringify(key))).join('.');
}

/** Whether two values say the same, whatever the order of their keys. */
export function isSameData(one: unknown, other: unknown): boolean {
  return canonical(one) === canonical(other);
}

function canonical(value: unknown): string {
  return JSON.stringify(value, (_, each: unknown) => {
    if (typeof each === 'bigint') return `${each}n`;
    return isMap(each) ? Object.fromEntries(Object.entries(each).sort(([a], [b]) => (a < b ? -1 : 1))) : each;
  });
}

function isSameValue(value: unknown, wanted: SettingValue): boolean {
  return isSameData(value, wanted);
}

/** `http://m:5000` and `http://m:5000/` are one mirror. */
function isSameAddress(value: unknown, wanted: string): boolean {
  return typeof value === 'string' && value.replace(/\/$/, '') === wanted.replace(/\/$/, '');
}
