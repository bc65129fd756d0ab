import type { Reading } from './findings.ts';
import { childOf, entriesOf, itemsOf, type Tree, textOf } from './tree.ts';
import { expandVariables } from './variables.ts';

/** Whether a document is a Compose file: it has a map of services, as the Compose specification wants it. */
export function isComposeFile(tree: Tree): boolean {
  const services = childOf(tree, 'services');
  if (services?.kind === 'map') return true;
  // A file that only includes others, or fills in what others leave open.
  return ['include', 'volumes', 'networks', 'configs', 'secrets'].some((key) => childOf(tree, key) !== undefined);
}

/**
 * The images of the services of a Compose file, of all profiles. A service that is built has no image to pull by, and is noted.
 *
 * Source: Compose specification, "Services top-level element".
 */
export function readComposeFile(tree: Tree, reading: Reading): void {
  const include = childOf(tree, 'include');
  if (include !== undefined) {
    reading.note(include.line, '`include` is not followed; name the included files with --from too');
  }
  for (const [name, service] of entriesOf(childOf(tree, 'services'))) readService(name, service, reading);
}

function readService(name: string, service: Tree, reading: Reading): void {
  if (isReset(service)) return;
  for (const volume of itemsOf(childOf(service, 'volumes'))) {
    if (textOf(childOf(volume, 'type')) === 'image') readImage(childOf(volume, 'source'), reading);
  }
  const extended = childOf(service, 'extends');
  if (childOf(extended, 'file') !== undefined) {
    reading.note(extended?.line ?? service.line, '`extends` of another file is not followed; name it with --from too');
  }
  const build = childOf(service, 'build');
  const image = childOf(service, 'image');
  const policy = textOf(childOf(service, 'pull_policy'));
  if (build !== undefined && !isReset(build)) {
    reading.note(build.line, `the service ${name} is built; name its Dockerfile with --from for what it builds on`);
  } else if (policy === 'build' || policy === 'never') {
    reading.note((image ?? service).line, `the service ${name} is never pulled (\`pull_policy: ${policy}\`)`);
  } else if (image !== undefined && !isReset(image)) readImage(image, reading);
  else if (extended === undefined && image === undefined && childOf(service, 'provider') === undefined) {
    reading.note(service.line, `the service ${name} has no image here; another file gives it one`);
  }
}

function readImage(image: Tree | undefined, reading: Reading): void {
  if (image?.kind !== 'text') return;
  const { text, reason } = expandVariables(image.text, { valueOf: () => undefined, escape: '$', remedy: REMEDY });
  if (text === undefined) reading.note(image.line, reason);
  else reading.image(text, image.line);
}

const REMEDY =
  'no environment and no .env file is read: write ${NAME:-default}, or give the output of `docker compose config`';

/** Compose's own tag: the value of an earlier file is taken away. */
function isReset({ tag }: Tree): boolean {
  return tag === '!reset';
}
