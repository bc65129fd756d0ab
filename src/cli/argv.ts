/**
 * Accepts long flags with one dash (`-config`, `-listen=:5000`), as Go programs write them, and `-c=FILE`. This program
 * bundles no one-letter flags, so no meaning is lost.
 */
export function normalizeArguments(argv: readonly string[]): readonly string[] {
  const end = argv.indexOf('--');
  const flags = end === -1 ? argv : argv.slice(0, end);
  const rest = end === -1 ? [] : argv.slice(end);
  const normal = flags.flatMap((argument) => {
    if (/^-[A-Za-z][\w-]+(?:=|$)/.test(argument)) return [`-${argument}`];
    const short = /^(-[A-Za-z])=(.*)$/s.exec(argument);
    return short === null ? [argument] : [short[1] ?? '', short[2] ?? ''];
  });
  return [...normal, ...rest];
}

/**
 * Adds the command to a command line that begins with a flag. Rewriting Mirror and crproxy have no commands:
 * `rmirror -config x` serves, `rmirror -config x -validate` validates, `crproxy -listen=:5000` serves.
 *
 * @param argv as {@link normalizeArguments} gives it
 * @param serveFlags the flags of `serve`, with their dashes
 */
export function withCommand(argv: readonly string[], serveFlags: readonly string[]): readonly string[] {
  const nameOf = (argument: string): string => argument.split('=')[0] ?? '';
  const names = new Set(argv.map(nameOf));
  if (![...serveFlags, VALIDATE, PRINT_DEFAULT].includes(nameOf(argv[0] ?? ''))) return argv;
  if (names.has(PRINT_DEFAULT)) return ['config', 'default'];
  if (!names.has(VALIDATE)) return ['serve', ...argv];
  return [
    'config',
    'validate',
    ...argv.filter((argument) => ![VALIDATE, '--check-upstreams'].includes(nameOf(argument))),
  ];
}

const VALIDATE = '--validate';
const PRINT_DEFAULT = '--print-default-config';
