import * as z from 'zod';
import { nearest } from '../../lib/index.ts';
import type { ConfigProblem, Source } from '../problems.ts';
import { alternatives, childOf, core, type Option, outline } from '../schema/index.ts';
import { mergeTrees, type Tree, treeAt, treeOf } from '../tree.ts';
import { readYaml } from './read-yaml.ts';

const PREFIX = 'ENTREPOT_';

/** A whole configuration, as text. */
export const CONFIG_VARIABLE = 'ENTREPOT_CONFIG';
/** The path of the configuration file. */
export const CONFIG_FILE_VARIABLE = 'ENTREPOT_CONFIG_FILE';

/**
 * Kubernetes sets variables for every service in every container. Those of a service called `entrepot` have our prefix
 * (`ENTREPOT_PORT=tcp://10.0.0.1:5000`) and are ignored, so that the server starts beside it.
 */
const KUBERNETES =
  /^ENTREPOT(?:_[A-Z0-9_]+)?_(?:SERVICE_HOST|SERVICE_PORT(?:_.*)?|PORT(?:_\d+_(?:TCP|UDP|SCTP)(?:_(?:PROTO|PORT|ADDR))?)?)$/;

/** Variables with our prefix that are not options: the two above, and one for tests (src/lib/crash-point.ts). */
const NO_OPTIONS: readonly string[] = [CONFIG_VARIABLE, CONFIG_FILE_VARIABLE, 'ENTREPOT_CRASH_AT'];

export type Environment = Readonly<Record<string, string | undefined>>;

interface ReadEnvironment {
  readonly tree: Tree | undefined;
  readonly problems: readonly ConfigProblem[];
}

/**
 * Reads variables such as `ENTREPOT_CACHE__MAX_SIZE=50GB`: two underscores between levels, any case, values as YAML.
 *
 * @param under the file: variables find its registries by their names, with `_` for all other characters
 */
export async function readEnvironment(
  env: Environment,
  { schema, under }: { readonly schema: z.ZodType; readonly under: Tree | undefined },
): Promise<ReadEnvironment> {
  const problems: ConfigProblem[] = [];
  let tree: Tree | undefined;
  for (const [name, text] of variablesOf(env)) {
    const source: Source = { kind: 'environment', name };
    const path = pathOf(name, schema, mergeTrees(under, tree));
    if (path === undefined) {
      problems.push({ source, key: '', message: describeUnknown(name, schema) });
      continue;
    }
    const target = path.reduce<readonly z.ZodType[]>((at, key) => at.flatMap((each) => step(each, key)), [schema]);
    const value = await readValue(text, source, target);
    problems.push(...value.problems);
    if (value.tree !== undefined) tree = mergeTrees(tree, treeOf(path, value.tree));
  }
  return { tree, problems };
}

/** Outer options first, so that the variable of a key overrides that of its section. Empty variables are ignored. */
function variablesOf(env: Environment): readonly (readonly [string, string])[] {
  return Object.entries(env)
    .flatMap(([name, text]): [string, string][] => {
      const ours = name.startsWith(PREFIX) && !NO_OPTIONS.includes(name);
      return ours && text !== undefined && text.trim() !== '' && !KUBERNETES.test(name) ? [[name, text]] : [];
    })
    .sort(([a], [b]) => a.split('__').length - b.split('__').length || (a < b ? -1 : 1));
}

function pathOf(name: string, schema: z.ZodType, under: Tree | undefined): readonly string[] | undefined {
  const path: string[] = [];
  let at: readonly z.ZodType[] = [schema];
  for (const part of name.slice(PREFIX.length).toLowerCase().split('__')) {
    const key = at.flatMap(alternatives).flatMap((branch) => keyIn(branch, part, treeAt(under, path)) ?? [])[0];
    if (key === undefined) return undefined;
    path.push(key);
    at = at.flatMap((each) => step(each, key));
  }
  return path;
}

function keyIn(branch: z.ZodType, part: string, present: Tree | undefined): string | undefined {
  if (branch instanceof z.ZodObject) return Object.keys(branch.shape).find((key) => key === part);
  if (!(branch instanceof z.ZodRecord) || part === '') return undefined;
  const names = present?.kind === 'map' ? [...present.entries.keys()] : [];
  return names.find((key) => key.toLowerCase().replace(/[^a-z0-9]/g, '_') === part) ?? part;
}

function step(schema: z.ZodType, key: string): readonly z.ZodType[] {
  return alternatives(schema).flatMap((branch) => childOf(branch, key) ?? []);
}

async function readValue(text: string, source: Source, target: readonly z.ZodType[]): Promise<ReadEnvironment> {
  const read = await readYaml(text, () => source);
  // `[::1]:5000` and `*:5000` are not valid YAML, but clearly meant as plain text.
  const takesText = target.flatMap(alternatives).some((branch) => core(branch) instanceof z.ZodString);
  const isPlain = takesText && !/^\s*[{[]\s*["{'a-z]/i.test(text);
  if (read.problems.length === 0 || !isPlain) return read;
  return { tree: { kind: 'scalar', source, value: text }, problems: [] };
}

function describeUnknown(name: string, schema: z.ZodType): string {
  // Without the prefix: it makes any two short names alike.
  const known = [...variableNames(outline(schema)), CONFIG_VARIABLE, CONFIG_FILE_VARIABLE];
  const near = nearest(
    withoutPrefix(name),
    known.map((variable) => withoutPrefix(variable)),
  );
  const meant = near === undefined ? undefined : `${PREFIX}${near}`;
  const hint =
    meant === undefined
      ? 'two underscores stand between levels, as in ENTREPOT_CACHE__MAX_SIZE'
      : `did you mean ${meant}?`;
  return `no option has this name; ${hint}`;
}

function withoutPrefix(variable: string): string {
  return variable.slice(PREFIX.length);
}

/** `ENTREPOT_CACHE__MAX_SIZE` and all others. Options inside lists and below names of the operator's own have none. */
export function variableNames(options: readonly Option[]): readonly string[] {
  return options
    .filter(({ path }) => !path.includes('[]') && !path.includes('<name>'))
    .flatMap(({ path, options: inner }) => [PREFIX + path.join('__').toUpperCase(), ...variableNames(inner)]);
}

/** `PORT` as platforms (Render, Fly.io, Heroku) set it. It means every address, since they connect from outside. */
export function readPort(env: Environment): ReadEnvironment {
  const text = env['PORT']?.trim() ?? '';
  if (text === '') return { tree: undefined, problems: [] };
  const source: Source = { kind: 'environment', name: 'PORT' };
  if (!/^\d{1,5}$/.test(text) || Number(text) > 65_535) {
    const message = `found ${JSON.stringify(text.slice(0, 60))}, expected a port such as 5000`;
    return { tree: undefined, problems: [{ source, key: 'listen', message }] };
  }
  return { tree: treeOf(['listen'], { kind: 'scalar', source, value: `:${text}` }), problems: [] };
}

/** `DEBUG=1`, as in crproxy. Other values (`DEBUG=express:*`) are for other programs. */
export function readDebug(env: Environment): Tree | undefined {
  if (env['DEBUG'] !== '1' && env['DEBUG'] !== 'true') return undefined;
  return treeOf(['log', 'level'], { kind: 'scalar', source: { kind: 'environment', name: 'DEBUG' }, value: 'debug' });
}
