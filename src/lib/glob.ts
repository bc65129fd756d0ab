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

/**
 * Whether some text matches both globs. Certain either way; the time is that of the product of their lengths.
 *
 * @example
 * globsMeet('acme/**', '**app'); // true: acme/app
 */
export function globsMeet(one: string, other: string): boolean {
  const a = one.match(TOKENS) ?? [];
  const b = other.match(TOKENS) ?? [];
  // Whether what is left of each from here on meets, for one position of `a` and every one of `b`: first the ends.
  let below: readonly boolean[] = [];
  for (let i = a.length; i >= 0; i -= 1) {
    const row: boolean[] = [];
    for (let j = b.length; j >= 0; j -= 1) {
      const [left, right] = [a[i], b[j]];
      // A wildcard for many characters ends here, or takes the next one of the other.
      const isByLeft =
        isMany(left) && (below[j] === true || (right !== undefined && takes(left, right) && row[j + 1] === true));
      const isByRight =
        isMany(right) && (row[j + 1] === true || (left !== undefined && takes(right, left) && below[j] === true));
      const isBoth =
        left === undefined || right === undefined
          ? left === right
          : !isMany(left) && !isMany(right) && (takes(left, right) || takes(right, left)) && below[j + 1] === true;
      row[j] = isByLeft || isByRight || isBoth;
    }
    below = row;
  }
  return below[0] === true;
}

const TOKENS = /\*\*|[\s\S]/g;

function isMany(token: string | undefined): token is '*' | '**' {
  return token === '*' || token === '**';
}

/** Whether a wildcard can stand for a token of another glob, or a character is the same. */
function takes(token: string, other: string): boolean {
  if (token === '**') return true;
  return token === '*' || token === '?' ? other !== '/' : token === other;
}
