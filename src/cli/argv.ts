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
