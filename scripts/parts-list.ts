import { fileURLToPath } from 'node:url';
import { outputOf } from './script.ts';

const root = fileURLToPath(new URL('..', import.meta.url));

interface Part {
  readonly 'bom-ref': string;
  readonly name: string;
  readonly version: string;
}

interface PartsList {
  readonly metadata: { readonly component: Part };
  readonly components: readonly Part[];
  readonly dependencies: readonly { readonly ref: string; readonly dependsOn: readonly string[] }[];
}

/**
 * The parts list (SBOM) in CycloneDX, as text.
 *
 * It is made from package-lock.json and not from node_modules: npm refuses a folder without the development tools, which
 * is what `npm ci --omit=dev` leaves.
 *
 * @param parts the packages to list, each as `name version`; the lock names those of every platform too
 * @throws Error where the lock does not have one of them
 */
export function partsList(parts: ReadonlySet<string>): string {
  const command = ['npm', 'sbom', '--package-lock-only', '--omit=dev', '--sbom-format=cyclonedx'];
  const all = JSON.parse(outputOf(command, { cwd: root, remedy: 'Install npm 10 or newer' })) as PartsList;
  const components = all.components.filter(({ name, version }) => parts.has(`${name} ${version}`));
  const listed = new Set(components.map(({ name, version }) => `${name} ${version}`));
  const missing = [...parts].filter((part) => !listed.has(part));
  if (missing.length > 0) throw new Error(`package-lock.json lacks ${missing.join(', ')}: run npm ci --omit=dev`);
  const kept = new Set(components.map((component) => component['bom-ref']));
  const self = all.metadata.component['bom-ref'];
  const dependencies = all.dependencies
    .filter(({ ref }) => ref === self || kept.has(ref))
    .map(({ ref, dependsOn }) => ({ ref, dependsOn: dependsOn.filter((each) => kept.has(each)) }));
  return `${JSON.stringify({ ...all, components, dependencies }, null, 2)}\n`;
}
