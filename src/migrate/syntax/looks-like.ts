import type { Document, ProgramDocument } from '../document.ts';

/** Keys that a description names. */
const MAX_KEYS = 6;

/** What a text that no source understands looks like, for a message: `a Dockerfile`, `TOML with the tables a and b`. */
export function looksLike(text: string, documents: readonly Document[]): string {
  if (text.trim() === '') return 'is empty';
  const known = SHAPES.find(([shape]) => shape.test(text))?.[1];
  if (known !== undefined) return `looks like ${known}`;
  const trees = documents.flatMap((document) => (document.kind === 'tree' ? [document] : []));
  const [tree] = trees;
  if (tree !== undefined) {
    const keys = [...tree.tree.entries.keys()];
    if (keys.length === 0) return `is ${tree.syntax} without any option`;
    const mark = (key: string) => tree.tree.entries.has(key);
    if (mark('registries') && (mark('cache') || mark('listen') || mark('default_registry')))
      return 'looks like a configuration of this program, which needs no import';
    return `looks like ${tree.syntax} with the keys ${list(keys)}`;
  }
  const started = documents.flatMap((document) => (document.kind === 'program' ? (optionsFileOf(document) ?? []) : []));
  if (started[0] !== undefined)
    return `starts ${started[0].program}, whose options are in ${started[0].file}: import that file`;
  const names = documents.flatMap((document) => (document.kind === 'program' ? [...document.variables.keys()] : []));
  if (documents.length > 0) {
    return names.length === 0
      ? 'starts programs, none of which import knows'
      : `has the variables ${list([...new Set(names)])}, which no program that import knows reads`;
  }
  return 'is no YAML, JSON, TOML, environment file or command line';
}

/** The file that a program is started with by `-config FILE` or `-c FILE`, as most servers call it. */
function optionsFileOf({
  names,
  args,
}: ProgramDocument): { readonly program: string; readonly file: string } | undefined {
  const program = names.at(-1);
  const at = args.findIndex(({ text }) => /^--?c(?:onfig)?(?:=|$)/.test(text));
  const [, joined] = /^[^=]*=(.+)$/s.exec(args[at]?.text ?? '') ?? [];
  const file = joined ?? (at === -1 ? undefined : args[at + 1]?.text);
  if (program === undefined || file === undefined || !/\.(?:json|ya?ml|toml|conf)$/i.test(file)) return undefined;
  return { program, file };
}

const SHAPES: readonly (readonly [RegExp, string])[] = [
  [/^(?:\s*#.*\n)*\s*(?:ARG\s+\S.*\n(?:\s*#.*\n|\s*\n)*)*FROM\s+\S/, 'a Dockerfile'],
  [/^#!/, 'a script'],
  [/^\s*<(?:!doctype|html|\?xml)/i, 'a page of HTML or XML'],
  [/^-----BEGIN /, 'a certificate or a key in PEM'],
  [/^\s*(?:server|http|events|upstream\s+\S+)\s*\{/m, 'a configuration of nginx'],
  [/^\s*(?:frontend|backend|defaults|global)\b[^:={]*$/m, 'a configuration of HAProxy'],
  [/^[^\s{}#]+(?:, \S+)* \{\s*$[\s\S]*^\s*reverse_proxy\b/m, 'a Caddyfile'],
  [/^\s*"auths"|\{\s*"auths"\s*:/, "Docker's config.json with logins, which stay with the client"],
  [/^apiVersion:[\s\S]*^kind:\s*\S/m, 'a manifest of Kubernetes without variables or flags that import knows'],
  [/^services:\s*$/m, 'a compose file without a program that import knows'],
];

function list(keys: readonly string[]): string {
  const shown = keys
    .slice(0, MAX_KEYS)
    .map((key) => (/^[\w.-]{1,60}$/.test(key) ? key : JSON.stringify(key.slice(0, 60))));
  const more = keys.length - shown.length;
  return shown.join(', ') + (more > 0 ? ` and ${more} more` : '');
}
