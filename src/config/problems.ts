/** Where a value was written. Lines and columns count from 1. */
export type Source =
  | { readonly kind: 'file'; readonly file: string; readonly line: number; readonly column: number }
  | { readonly kind: 'environment'; readonly name: string }
  | { readonly kind: 'flag'; readonly flag: string };

/** One thing that is wrong with a configuration, with what would do instead. */
export interface ConfigProblem {
  /** Undefined where the problem has no place, as when a file cannot be read. */
  readonly source: Source | undefined;
  /** `registries.apps.upstreams[0].url`; empty where the problem is of no single option. */
  readonly key: string;
  /** `found "x", expected …`. Never holds a secret. */
  readonly message: string;
}

/** Thrown with all problems of a configuration at once. The message has one line for each. */
export class ConfigError extends Error {
  override readonly name = 'ConfigError';
  readonly problems: readonly ConfigProblem[];
  /** The directory of the cache, absolute, where it can be known all the same: what leads to the running server. */
  readonly cacheDir: string | undefined;

  constructor(problems: readonly ConfigProblem[], options?: ErrorOptions & { readonly cacheDir?: string | undefined }) {
    super(problems.map(formatProblem).join('\n'), options);
    this.problems = problems;
    this.cacheDir = options?.cacheDir;
  }
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

/** Writes a path of keys and list positions as one text: `registries["ghcr.io"].upstreams[0].url`. */
export function formatKey(path: readonly PropertyKey[]): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else if (/^\w[\w-]*$/.test(String(part))) text += text === '' ? String(part) : `.${String(part)}`;
    else text += `[${JSON.stringify(String(part))}]`;
  }
  return text;
}
