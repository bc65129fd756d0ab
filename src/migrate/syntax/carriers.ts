import { isList, isMap, type Source, type Tree } from '../../config/index.ts';
import type { FileName, ProgramDocument, Word } from '../document.ts';
import type { MapTree } from '../fields.ts';
import { expand, programName, splitWords } from './shell.ts';

/*
 * Files that start programs: compose files, manifests of Kubernetes, render.yaml. Each program in them becomes a document
 * with its variables and its arguments.
 */

/** The programs of a file that starts some; undefined for any other file. */
export function programsOf(tree: MapTree, file: FileName): readonly ProgramDocument[] | undefined {
  const services = tree.entries.get('services');
  if (isMap(services)) {
    return [...services.entries].flatMap(([name, service]) =>
      isMap(service) ? [composeService(name, service, file)] : [],
    );
  }
  if (isList(services)) {
    return services.items.flatMap((service) => (isMap(service) ? [renderService(service, file)] : []));
  }
  return tree.entries.has('apiVersion') && tree.entries.has('kind') ? containersOf(tree, file) : undefined;
}

function composeService(name: string, service: MapTree, file: FileName): ProgramDocument {
  const { entries, source } = service;
  const image = textOf(entries.get('image'));
  const environment = entries.get('environment');
  const variables = isMap(environment) ? variablesOfMap(environment) : variablesOfLines(environment);
  const command = [...wordsOf(entries.get('entrypoint')), ...wordsOf(entries.get('command'))];
  return programDocument({ file, source, names: [name, image], variables, command });
}

/** Variables of render.yaml are `{key, value}`. */
function renderService({ entries, source }: MapTree, file: FileName): ProgramDocument {
  const variables = variablesOfPairs(entries.get('envVars'), 'key');
  const command = wordsOf(entries.get('dockerCommand') ?? entries.get('startCommand'));
  return programDocument({ file, source, names: [textOf(entries.get('name'))], variables, command });
}

/** Every container of a manifest, wherever its pod is: in a Deployment, a Pod, a List, a CronJob. */
function containersOf(tree: Tree, file: FileName): readonly ProgramDocument[] {
  if (isList(tree)) return tree.items.flatMap((item) => containersOf(item, file));
  if (!isMap(tree)) return [];
  return [...tree.entries].flatMap(([key, inner]) => {
    if (key !== 'containers' || !isList(inner)) return containersOf(inner, file);
    return inner.items.flatMap((item) => (isMap(item) ? [container(item, file)] : []));
  });
}

function container({ entries, source }: MapTree, file: FileName): ProgramDocument {
  const variables = variablesOfPairs(entries.get('env'), 'name');
  const command = [...wordsOf(entries.get('command')), ...wordsOf(entries.get('args'))];
  const names = [textOf(entries.get('name')), textOf(entries.get('image'))];
  return programDocument({ file, source, names, variables, command });
}

function programDocument(parts: {
  readonly file: FileName;
  readonly source: Source;
  readonly names: readonly string[];
  readonly variables: ReadonlyMap<string, Word>;
  readonly command: readonly Word[];
}): ProgramDocument {
  const { file, source, variables, command } = parts;
  const [first] = command;
  // A command that is not flags begins with the program.
  const isProgram = first !== undefined && !first.text.startsWith('-');
  const names = [...parts.names, ...(isProgram ? [first.text] : [])].map(programName).filter((name) => name !== '');
  const args = (isProgram ? command.slice(1) : command).map((word) => ({
    ...word,
    text: expand(word.text, variables),
  }));
  return { kind: 'program', file, source, names, variables, args };
}

function variablesOfMap({ entries }: MapTree): ReadonlyMap<string, Word> {
  return new Map([...entries].flatMap(([name, value]) => (value.kind === 'scalar' ? [[name, wordOf(value)]] : [])));
}

/** `- NAME=value` */
function variablesOfLines(tree: Tree | undefined): ReadonlyMap<string, Word> {
  const lines = isList(tree) ? tree.items : [];
  return new Map(
    lines.flatMap((line): [string, Word][] => {
      const [, name = '', text = ''] = /^([A-Za-z_]\w*)=(.*)$/s.exec(textOf(line)) ?? [];
      return name === '' ? [] : [[name, { text, source: line.source }]];
    }),
  );
}

/** `- {name: NAME, value: text}`. A value from a secret is not in the file, and stands as empty. */
function variablesOfPairs(tree: Tree | undefined, key: string): ReadonlyMap<string, Word> {
  const pairs = isList(tree) ? tree.items : [];
  return new Map(
    pairs.flatMap((pair): [string, Word][] => {
      if (!isMap(pair)) return [];
      const name = textOf(pair.entries.get(key));
      const value = pair.entries.get('value');
      return name === '' || value?.kind !== 'scalar' ? [] : [[name, { ...wordOf(value), source: pair.source }]];
    }),
  );
}

function wordsOf(tree: Tree | undefined): readonly Word[] {
  if (isList(tree)) return tree.items.map((item) => ({ text: textOf(item), source: item.source }));
  if (tree === undefined) return [];
  return splitWords({ text: textOf(tree), parts: [] }, () => tree.source) ?? [];
}

function wordOf(tree: Extract<Tree, { kind: 'scalar' }>): Word {
  return { text: tree.value === null ? '' : String(tree.value), source: tree.source };
}

function textOf(tree: Tree | undefined): string {
  return tree?.kind === 'scalar' && tree.value !== null ? String(tree.value) : '';
}
