import { compileGlob, nearest } from '../lib/index.ts';
import { type Digest, isRepositoryName, isTag, OciError, parseDigest } from '../oci/index.ts';
import type { Catalogue } from './catalogue.ts';
import { isRegistryName, looksLikeRegistry } from './host.ts';
import { qualifyRepository } from './name.ts';
import { withoutOwnHost } from './own-host.ts';

/** An image, tag or digest, or a pattern of them, as given by an operator. */
interface ImagePattern {
  /** The qualified form, for output. */
  readonly text: string;
  /** Pattern of `registry/repository`; undefined means every repository. `*` within one component, `**` across. */
  readonly repository: string | undefined;
  /** Pattern of tags, if one was given. */
  readonly tag: string | undefined;
  readonly digest: Digest | undefined;
}

const NAME = /^[a-zA-Z0-9._:/*?-]+$/;
const TAG = /^[a-zA-Z0-9._*?-]{1,128}$/;
const WILD = /[*?]/;

/**
 * Reads `ghcr.io/owner/app`, `nginx:1.27`, `ghcr.io/owner/*:1.*`, `app@sha256:…` or `sha256:…`. Names are qualified as in
 * a pull (`nginx` is docker.io/library/nginx); a registry alone means all its repositories, and `**` all registries. The
 * host of this server may stand in front.
 *
 * @throws {OciError} NAME_INVALID for any other text
 */
export function parseImagePattern(catalogue: Catalogue, written: string): ImagePattern {
  const text = withoutOwnHost(catalogue, written);
  const alone = parseDigest(text);
  if (alone !== undefined) return { text: alone, repository: undefined, tag: undefined, digest: alone };
  const at = text.indexOf('@');
  const digest = at === -1 ? undefined : parseDigest(text.slice(at + 1));
  if (at !== -1 && digest === undefined) throw invalid(text, 'what follows the @ is no digest');
  const { name, tag } = splitTag(at === -1 ? text : text.slice(0, at));
  if (!NAME.test(name) || name.startsWith('/') || name.endsWith('/') || name.includes('//')) {
    throw invalid(text, 'expected a name such as ghcr.io/owner/app, a tag, a digest or a pattern of them');
  }
  if (tag !== undefined && !TAG.test(tag)) throw invalid(text, 'its tag holds what no tag has');
  const repository = qualify(catalogue, name);
  const fault = faultOf(repository, tag);
  if (fault !== undefined) throw invalid(text, fault);
  const shown = `${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
  return { text: shown, repository, tag, digest };
}

interface TagPattern {
  /** Pattern of `registry/repository:tag` with canonical names, for compileGlob. */
  readonly pattern: string;
  /** Why it can match no tag that this server serves; undefined where it can. */
  readonly fault: string | undefined;
}

/**
 * Reads a pattern of tags as {@link parseImagePattern} does; without a tag it means every tag. It never throws: a text
 * that can match nothing is kept as it is, with its fault.
 */
export function parseTagPattern(catalogue: Catalogue, text: string): TagPattern {
  try {
    const { repository = '', tag = '*', digest } = parseImagePattern(catalogue, text);
    const fault =
      digest === undefined ? faultOfRegistry(catalogue, repository) : 'it names a digest, and only tags are compared';
    return { pattern: `${repository}:${tag}`, fault };
  } catch (error) {
    if (!(error instanceof OciError)) throw error;
    return { pattern: text, fault: error.message };
  }
}

/**
 * Reads a pattern of repositories in a rule of access. Unlike an image it is never qualified by the default registry: rules
 * would go over to Docker Hub when their registry is removed.
 *
 * It never throws. `fault` says why the pattern can match nothing that this server serves.
 */
export function parseRepositoryPattern(catalogue: Catalogue, text: string): TagPattern {
  const [first = ''] = text.split('/', 1);
  const isNamed = WILD.test(first) || catalogue.byPathName(first) !== undefined;
  if (!isNamed) {
    const near = nearest(
      first,
      catalogue.list().map(({ name }) => name),
    );
    const meant = near ?? (text === first ? qualifiedOf(catalogue, text) : undefined);
    const hint = meant === undefined ? '' : `; did you mean ${meant}?`;
    return { pattern: text, fault: `${first} is no registry of this server, and a rule names its registry${hint}` };
  }
  try {
    // A pattern that begins with a wildcard is compared as it stands: `*/nginx` is every registry here.
    const { repository = '', tag, digest } = parseImagePattern(catalogue, text);
    const pattern = WILD.test(first) ? text : repository;
    if (tag !== undefined || digest !== undefined)
      return { pattern, fault: 'a rule is for whole repositories; leave the tag out' };
    return { pattern, fault: faultOfRegistry(catalogue, pattern) };
  } catch (error) {
    if (!(error instanceof OciError)) throw error;
    return { pattern: text, fault: error.message };
  }
}

/** Why no registry of the catalogue has a repository of this pattern. */
function faultOfRegistry(catalogue: Catalogue, pattern: string): string | undefined {
  const [first = '', ...rest] = pattern.split('/');
  if (WILD.test(first)) {
    const matches = compileGlob(first);
    const isServed = first.includes('**') || catalogue.list().some(({ name }) => matches(name));
    return isServed ? undefined : `no registry of this server matches ${first}`;
  }
  const registry = catalogue.byName(first);
  if (registry === undefined) {
    const near = nearest(
      first,
      catalogue.list().map(({ name }) => name),
    );
    return `this server has no registry ${first}${near === undefined ? '' : `; did you mean ${near}?`}`;
  }
  const isHubName = rest.length === 2 || rest.some((part) => part.includes('**'));
  if (!registry.library || isHubName) return undefined;
  return `repositories of ${registry.name} have two components, as in library/nginx`;
}

/** Why no image has such a name: each wildcard stands for something that the grammar allows. */
function faultOf(repository: string, tag: string | undefined): string | undefined {
  const [registry = '', ...rest] = repository.split('/');
  const sample = (text: string) => text.replace(/[*?]+/g, 'a');
  const names = registry.startsWith('**') ? [registry, ...rest] : rest;
  if (!registry.startsWith('**') && !isRegistryName(sample(registry))) return `${registry} is no name of a registry`;
  if (/[A-Z]/.test(names.join('/'))) return 'names of repositories are in lower case';
  if (names.length > 0 && !isRepositoryName(sample(names.join('/')))) {
    return 'each component of a repository begins and ends with a letter or digit';
  }
  return tag === undefined || isTag(sample(tag)) ? undefined : 'a tag begins with a letter, a digit or _';
}

/** The tag follows the last colon, unless that belongs to a port. */
function splitTag(text: string): { readonly name: string; readonly tag: string | undefined } {
  const colon = text.lastIndexOf(':');
  if (colon === -1 || text.indexOf('/', colon) !== -1) return { name: text, tag: undefined };
  return { name: text.slice(0, colon), tag: text.slice(colon + 1) };
}

function qualify(catalogue: Catalogue, name: string): string {
  const slash = name.indexOf('/');
  const first = slash === -1 ? name : name.slice(0, slash);
  if (first.startsWith('**')) return name;
  // `*/library/nginx` means every registry; `*/nginx` every owner at the default one.
  if (WILD.test(first) && (name.includes('**') || name.split('/').length > 2)) return name;
  const known = catalogue.byPathName(first);
  // Cached content outlives the configuration of its registry, so the registry may be unknown.
  const isRegistry = known !== undefined || (looksLikeRegistry(first) && slash !== -1);
  if (!isRegistry) {
    const { default: registry } = catalogue;
    return `${registry.name}/${qualifyRepository(registry, name)}`;
  }
  const registry = known?.name ?? first.toLowerCase();
  if (slash === -1) return `${registry}/**`;
  const rest = name.slice(slash + 1);
  return `${registry}/${known === undefined || rest.includes('**') ? rest : qualifyRepository(known, rest)}`;
}

function invalid(text: string, why: string): OciError {
  return new OciError('NAME_INVALID', `${JSON.stringify(text.slice(0, 200))} names no image: ${why}`);
}

/** `docker.io/library/nginx` for `nginx`; undefined for what names no image. */
function qualifiedOf(catalogue: Catalogue, text: string): string | undefined {
  try {
    return parseImagePattern(catalogue, text).repository;
  } catch {
    return undefined;
  }
}
