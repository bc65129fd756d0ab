/**
 * Files as texts: a setting goes in, and a diff comes out.
 *
 * It never reads or writes a file, and never changes more of a text than the setting asks for.
 */
export { unifiedDiff } from './diff.ts';
export { editFile, parseFile } from './edit.ts';
export { isMap, isSet, valueAt } from './settings.ts';
