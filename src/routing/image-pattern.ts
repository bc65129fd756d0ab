import { type Digest, OciError, parseDigest } from '../oci/index.ts';
import type { Catalogue } from './catalogue.ts';
import { looksLikeRegistry } from './host.ts';
import { qualifyRepository } from './name.ts';

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

/**
 * Reads `ghcr.io/owner/app`, `nginx:1.27`, `ghcr.io/owner/*:1.*`, `app@sha256:…` or `sha256:…`. Names are qualified as in
 * a pull (`nginx` is docker.io/library/nginx); a registry alone means all its repositories, and `**` all registries.
 *
 * @throws {OciError} NAME_INVALID for any other text
 */
export function parseImagePattern(catalogue: Catalogue, text: string): ImagePattern {
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
  const shown = `${repository}${tag === undefined ? '' : `:${tag}`}${digest === undefined ? '' : `@${digest}`}`;
  return { text: shown, repository, tag, digest };
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
