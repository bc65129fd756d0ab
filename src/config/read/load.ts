import { dirname, resolve } from 'node:path';
import { ConfigError, type ConfigProblem, formatKey, formatSource, inOrder, type Source } from '../problems.ts';
import { type Config, childOf, configSchema } from '../schema/index.ts';
import { isNull, mergeTrees, type Scalar, scalarsOf, type Tree, toPlain, treeAt, treeOf } from '../tree.ts';
import { checkConsistency } from './consistency.ts';
import {
  CONFIG_FILE_VARIABLE,
  CONFIG_VARIABLE,
  type Environment,
  readDebug,
  readEnvironment,
  readPort,
} from './environment.ts';
import { explainIssues } from './explain.ts';
import { findFile } from './find-file.ts';
import { readOpenTelemetry } from './open-telemetry.ts';
import { readYaml } from './read-yaml.ts';
import { checkReferences, resolvePaths } from './references.ts';

/** Flags of the command line; each overrides file and environment. */
export interface ConfigFlags {
  /** Path of the configuration file. */
  readonly config?: string;
  readonly listen?: readonly string[];
  /** Turns the cache on where the file has it off, which is noted. */
  readonly cacheDir?: string;
  readonly domainSuffix?: string;
  readonly defaultRegistry?: string;
  readonly registryMap?: string;
  readonly logLevel?: string;
  readonly logFormat?: string;
  /** `false`: `--no-cache`. */
  readonly cache?: boolean;
}

export interface LoadOptions {
  readonly flags?: ConfigFlags;
  /** @default process.env */
  readonly env?: Environment;
  /** The base of relative paths, and where the file is searched for. @default process.cwd() */
  readonly cwd?: string;
  /** Whether the files and variables that the configuration names must exist. @default true */
  readonly checkReferences?: boolean;
}

export interface LoadedConfig {
  readonly config: Config;
  /** For people: the path of the file, `ENTREPOT_CONFIG`, or `defaults`. */
  readonly source: string;
  /** The values as written, with their places and without defaults; undefined if none were written. */
  readonly settings: Tree | undefined;
  /**
   * Notes that the settings alone do not show: on how the layers were joined (a section of an inner layer turns on what an
   * outer one has off), and on the secrets in variables and files.
   */
  readonly layerNotes: readonly ConfigProblem[];
  /** A file exists and is empty. */
  readonly isBlank: boolean;
}

/**
 * Finds, reads, merges and checks the configuration: defaults < file < environment < flags.
 *
 * Relative paths in a file are relative to the file; in variables and flags, and the default `./data`, to the working
 * directory. Nothing is kept: to reload, load again.
 *
 * @throws ConfigError with all problems
 */
export async function loadConfig(options: LoadOptions = {}): Promise<LoadedConfig> {
  const { flags = {}, env = process.env, cwd = process.cwd() } = options;
  const { file, layers, settings, notes, problems: unreadable } = await readLayers({ flags, env, cwd });

  const { config, problems } = parse(settings);
  const all = [...unreadable, ...problems];
  all.push(...checkConsistency(config, settings));
  const references =
    options.checkReferences === false
      ? { problems: [], notes: [] }
      : await checkReferences(settings, { schema: configSchema, env });
  all.push(...references.problems);
  if (all.length > 0) {
    // An unreadable file may name another directory.
    const isKnown = file.problems.length === 0 || flags.cacheDir !== undefined;
    throw new ConfigError(inOrder(all), { cacheDir: isKnown ? cacheDirOf(settings, cwd) : undefined });
  }
  const isBlank = file.source !== 'defaults' && (file.tree === undefined || isNull(file.tree));
  return {
    config: withDirectory(config, cwd),
    source: file.source,
    settings,
    layerNotes: [...findTurnedOn(layers), ...notes, ...references.notes],
    isBlank,
  };
}

/**
 * Checks settings that come from no file of this program. Nothing that they name has to exist. Pure.
 *
 * @returns the configuration, which is complete only without problems
 */
export function checkSettings(settings: Tree): {
  readonly config: Config;
  readonly problems: readonly ConfigProblem[];
} {
  const { config, problems } = parse(settings);
  return { config, problems: inOrder([...problems, ...checkConsistency(config, settings)]) };
}

/**
 * Where the configuration says to listen, whatever is wrong with the rest of it: a running server keeps its configuration
 * while its file has problems.
 *
 * @throws ConfigError where it cannot be told: the file cannot be read, or `listen` itself is wrong
 */
export async function loadListeners(options: Omit<LoadOptions, 'checkReferences'> = {}): Promise<Config['listen']> {
  const { flags = {}, env = process.env, cwd = process.cwd() } = options;
  const { file, settings } = await readLayers({ flags, env, cwd });
  if (file.problems.length > 0) throw new ConfigError(inOrder(file.problems));
  const listen = treeAt(settings, ['listen']);
  const { config, problems } = parse(listen === undefined ? undefined : treeOf(['listen'], listen));
  if (problems.length > 0) throw new ConfigError(inOrder(problems));
  return config.listen;
}

interface Layers {
  readonly file: FileLayer;
  /** File, environment, flags. */
  readonly layers: readonly (Tree | undefined)[];
  /** The layers joined, with what `PORT`, `DEBUG` and the variables of OpenTelemetry add. */
  readonly settings: Tree | undefined;
  readonly notes: readonly ConfigProblem[];
  /** What is wrong with the sources themselves. */
  readonly problems: readonly ConfigProblem[];
}

async function readLayers({ flags, env, cwd }: Surroundings): Promise<Layers> {
  const file = await readFileLayer({ flags, env, cwd });
  const environment = await readEnvironment(env, { schema: configSchema, under: file.tree });
  const layers = [
    resolvePaths(file.tree, { schema: configSchema, base: file.base }),
    resolvePaths(environment.tree, { schema: configSchema, base: cwd }),
    resolvePaths(readFlags(flags), { schema: configSchema, base: cwd }),
  ];
  const written = layers.reduce(mergeTrees, undefined);
  const port = isWritten(written, ['listen']) ? undefined : readPort(env);
  const debug = isWritten(written, ['log', 'level']) ? undefined : readDebug(env);
  const openTelemetry = readOpenTelemetry(env, { isPointed: isWritten(written, ['tracing', 'endpoint']) });
  return {
    file,
    layers,
    // What is written of a section goes before what the variables of OpenTelemetry have of it.
    settings: [port?.tree, debug].reduce(mergeTrees, mergeTrees(openTelemetry.tree, written)),
    notes: openTelemetry.notes,
    problems: [...file.problems, ...environment.problems, ...(port?.problems ?? [])],
  };
}

interface FileLayer {
  readonly tree: Tree | undefined;
  readonly problems: readonly ConfigProblem[];
  readonly source: string;
  /** The base of relative paths. */
  readonly base: string;
}

interface Surroundings {
  readonly flags: ConfigFlags;
  readonly env: Environment;
  readonly cwd: string;
}

async function readFileLayer({ flags, env, cwd }: Surroundings): Promise<FileLayer> {
  const text = env[CONFIG_VARIABLE];
  const named = flags.config ?? (env[CONFIG_FILE_VARIABLE] || undefined);
  if (flags.config === undefined && text !== undefined && text.trim() !== '') {
    const source: Source = { kind: 'environment', name: CONFIG_VARIABLE };
    if (named !== undefined) {
      const message = `found ${CONFIG_FILE_VARIABLE} as well, expected one of the two`;
      throw new ConfigError([{ source, key: '', message }]);
    }
    return {
      ...(await readText(text, (line, column) => ({ kind: 'file', file: CONFIG_VARIABLE, line, column }))),
      source: CONFIG_VARIABLE,
      base: cwd,
    };
  }
  const found = await findFile(named, { cwd, env });
  if (found === undefined) return { tree: undefined, problems: [], source: 'defaults', base: cwd };
  const read = await readText(found.text, (line, column) => ({ kind: 'file', file: found.label, line, column }));
  return { ...read, source: found.path, base: dirname(found.path) };
}

async function readText(text: string, sourceAt: (line: number, column: number) => Source) {
  const read = await readYaml(text, sourceAt);
  if (read.tree === undefined || read.tree.kind === 'map' || isNull(read.tree)) return read;
  const message = `found ${read.tree.kind === 'list' ? 'a list' : 'a single value'}, expected a map of options such as listen and cache`;
  return { tree: undefined, problems: [{ source: read.tree.source, key: '', message }] };
}

function readFlags(flags: ConfigFlags): Tree | undefined {
  const trees: (Tree | undefined)[] = [
    flags.cache === false ? flagTree(['cache'], '--no-cache', 'off') : undefined,
    flagTree(['cache', 'dir'], '--cache-dir', flags.cacheDir),
    flagTree(['domain_suffix'], '--domain-suffix', flags.domainSuffix),
    flagTree(['default_registry'], '--default-registry', flags.defaultRegistry),
    flagTree(['registry_map'], '--registry-map', flags.registryMap),
    flagTree(['log', 'level'], '--log-level', flags.logLevel),
    flagTree(['log', 'format'], '--log-format', flags.logFormat),
  ];
  const { listen } = flags;
  if (listen !== undefined && listen.length > 0) {
    const source: Source = { kind: 'flag', flag: '--listen' };
    const items = listen.map((value): Tree => ({ kind: 'scalar', source, value }));
    trees.push(
      treeOf(['listen'], items.length === 1 && items[0] !== undefined ? items[0] : { kind: 'list', source, items }),
    );
  }
  return trees.reduce(mergeTrees, undefined);
}

function flagTree(path: readonly string[], flag: string, value: Scalar | undefined): Tree | undefined {
  return value === undefined ? undefined : treeOf(path, { kind: 'scalar', source: { kind: 'flag', flag }, value });
}

function isWritten(tree: Tree | undefined, path: readonly string[]): boolean {
  const found = treeAt(tree, path);
  return found !== undefined && !isNull(found);
}

/**
 * The configuration and its problems. Valid sections are read even beside invalid ones, so that the consistency checks
 * report their problems at the same time.
 */
function parse(settings: Tree | undefined): { readonly config: Config; readonly problems: readonly ConfigProblem[] } {
  const plain = toPlain(settings) as Record<string, unknown>;
  const result = configSchema.safeParse(plain);
  if (result.success) return { config: result.data, problems: [] };
  const problems = explainIssues(result.error.issues, { schema: configSchema, settings });
  const wrong = new Set(result.error.issues.map((issue) => issue.path[0]));
  const sound = Object.entries(plain).filter(([key]) => !wrong.has(key) && childOf(configSchema, key) !== undefined);
  return { config: configSchema.parse(Object.fromEntries(sound)), problems };
}

/** `--cache-dir`, or a variable inside `cache`, over a file with `cache: off`: the later layer means to turn it on, or knows nothing of it. */
function findTurnedOn(layers: readonly (Tree | undefined)[]): readonly ConfigProblem[] {
  const notes: ConfigProblem[] = [];
  let under: Tree | undefined;
  for (const layer of layers) {
    for (const path of [['cache'], ['cache', 'tags']]) {
      const off = treeAt(under, path);
      const on = treeAt(layer, path);
      if (off?.kind !== 'scalar' || isNull(off) || on?.kind !== 'map') continue;
      const source = [...scalarsOf(on)][0]?.source ?? on.source;
      const message = `turns the cache on, which ${formatSource(off.source)} has ${String(off.value)}: remove one of the two`;
      notes.push({ source, key: formatKey(path), message });
    }
    under = mergeTrees(under, layer);
  }
  return notes;
}

/** The cache directory in spite of problems elsewhere; undefined if it cannot be told. */
function cacheDirOf(settings: Tree | undefined, cwd: string): string | undefined {
  const { cache } = toPlain(settings) as { readonly cache?: unknown };
  const isMap = typeof cache === 'object' && cache !== null && !Array.isArray(cache);
  const read = configSchema.safeParse({ cache: isMap ? { dir: (cache as { readonly dir?: unknown }).dir } : cache });
  return read.success && read.data.cache !== 'off' ? resolve(cwd, read.data.cache.dir) : undefined;
}

function withDirectory(config: Config, cwd: string): Config {
  if (config.cache === 'off') return config;
  return { ...config, cache: { ...config.cache, dir: resolve(cwd, config.cache.dir) } };
}
