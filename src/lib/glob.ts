/**
 * Compiles a glob: `*` matches anything within one path component, `**` anything, `?` one character of a component; every
 * other character is literal. The whole text must match; case matters.
 *
 * @example
 * compileGlob('docker.io/library/*:latest')('docker.io/library/nginx:latest'); // true
 */
export function compileGlob(pattern: string): (text: string) => boolean {
  const parts = pattern.split(/(\*\*|\*|\?)/);
  const source = parts
    .map((part) => {
      if (part === '**') return '.*';
      if (part === '*') return '[^/]*';
      if (part === '?') return '[^/]';
      return RegExp.escape(part);
    })
    .join('');
  const expression = new RegExp(`^${source}$`, 's');
  return (text) => expression.test(text);
}

/**
 * Whether a glob matches all that another matches, as far as the texts of the two show it: true is certain, false is not.
 *
 * @example
 * globCovers('docker.io/**', 'docker.io/library/*:latest'); // true
 */
export function globCovers(wide: string, narrow: string): boolean {
  // Each wildcard of the narrow one stands for itself, as a character that no text has.
  const text = narrow.replace(/\*\*|\*|\?/g, (wildcard) => STANDINS[wildcard] ?? '');
  const source = wide
    .split(/(\*\*|\*|\?)/)
    .map((part) => {
      if (part === '**') return '.*';
      if (part === '*') return `[^/${STANDINS['**']}]*`;
      if (part === '?') return `[^/${STANDINS['**']}${STANDINS['*']}]`;
      return RegExp.escape(part);
    })
    .join('');
  return new RegExp(`^${source}$`, 's').test(text);
}

/** Noncharacters (Unicode 23.7). */
const STANDINS: Readonly<Record<string, string>> = { '**': '\ufdd0', '*': '\ufdd1', '?': '\ufdd2' };
