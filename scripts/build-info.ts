import { execFileSync } from 'node:child_process';
import { fileURLToPath } from 'node:url';

const root = fileURLToPath(new URL('..', import.meta.url));

/**
 * The text of build.json, which `entrepot --version` reads: the commit (`REVISION`, for a build without git, or that of the
 * checkout), and the time.
 */
export function buildInfo(): string {
  return `${JSON.stringify({ commit: commit(), built_at: new Date().toISOString() })}\n`;
}

function commit(): string | undefined {
  const given = process.env['REVISION'] ?? '';
  if (given !== '') return given.slice(0, 12);
  try {
    // What git says of a folder that is no checkout is no error here.
    const said = execFileSync('git', ['rev-parse', '--short', 'HEAD'], {
      cwd: root,
      stdio: ['ignore', 'pipe', 'ignore'],
    });
    return said.toString().trim();
  } catch {
    return undefined;
  }
}

/** The text of THIRD-PARTY-LICENSES. */
export function licenceText(packages: ReadonlyMap<string, string>): string {
  return [...packages].map(([name, licence]) => `${name}\n\n${licence}\n`).join(`\n${'-'.repeat(80)}\n\n`);
}
