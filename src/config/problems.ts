/** The place of a value. Lines and columns count from 1. */
export type Source =
  | { readonly kind: 'file'; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: 'environment'; readonly name: string }
  | { readonly kind: 'flag'; readonly flag: string };

/** One error in a configuration, with its remedy. */
export interface ConfigProblem {
  /** Undefined for a problem without a place, such as an unreadable file. */
  readonly source: Source | undefined;
  /** `registries.apps.upstreams[0].url`; empty for a problem that concerns no single option. */
  readonly key: string;
  /** `found "x", expected …`. Never contains a secret. */
  readonly message: string;
}

/** All problems of a configuration. The message has one line for each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];
  /** The absolute cache directory if it is known in spite of the problems; the control socket of the running server is in it. */
  readonly cacheDir: string | undefined;

  constructor(problems: readonly ConfigProblem[], options?: ErrorOptions & { readonly cacheDir?: string | undefined }) {
    super(problems.map(formatProblem).join('\n'), options);
    this.problems = problems;
    this.cacheDir = options?.cacheDir;
  }
}

/** Sorted by line; problems without a line come last. */
export function inOrder(problems: readonly ConfigProblem[]): readonly ConfigProblem[] {
  const lineOf = ({ source }: ConfigProblem) => (source?.kind === 'file' ? source.line : Number.POSITIVE_INFINITY);
  return problems.toSorted((a, b) => (lineOf(a) === lineOf(b) ? 0 : lineOf(a) - lineOf(b)));
}

/** `entrepot.yaml:7:3  log.level: found "loud", expected debug or info or warn or error` */
export function formatProblem(problem: ConfigProblem): string {
  const where = problem.source === undefined ? '' : `${formatSource(problem.source)}  `;
  return `${where}${problem.key === '' ? '' : `${problem.key}: `}${problem.message}`;
}

/** `entrepot.yaml:7:3`, `ENTREPOT_LOG__LEVEL`, `--log-level` */
export function formatSource(source: Source): string {
  if (source.kind === 'file') return `${source.file}:${source.line}:${source.column}`;
  return source.kind === 'environment' ? source.name : source.flag;
}

/** Formats a path of keys and list positions: `registries["ghcr.io"].upstreams[0].url`. */
export function formatKey(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^\w[\w-]*$/.test(String(part))) text += text === '' ? String(part) : `.${String(part)}`;
    else text += `[${JSON.stringify(String(part))}]`;
  }
  return text;
}
