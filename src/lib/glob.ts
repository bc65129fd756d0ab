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
