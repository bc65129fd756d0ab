/**
 * Go programs write long flags with one dash (`-config`, `-listen=:5000`), and so do the notes of people who come from
 * one: they are understood. So is `-c=FILE`. A flag of ours is never a bundle of one-letter flags, so nothing is lost.
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
 * Programs that do one thing have no commands: Rewriting Mirror is started by `rmirror -config x` and asked by
 * `rmirror -config x -validate`, crproxy is started by `crproxy -listen=:5000`. A command line that begins with such a flag
 * gets the command that does it; any other stays as it is.
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
