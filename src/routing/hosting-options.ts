import { globsMeet } from '../lib/index.ts';
import { type HostingSpec, isRepositoryName, isTag } from '../oci/index.ts';
import { canonicalHost } from './host.ts';
import { knownRegistryByHost } from './known-registries.ts';

/** What of a configured registry can be pushed, as it is written. */
export interface HostingOptions {
  /** Patterns of repositories; `**` for all of them. @default none */
  readonly hosted?: readonly string[];
  /** @default none */
  readonly push?: readonly string[];
  /** Patterns of tags, or of `repository:tag`. @default none */
  readonly immutableTags?: readonly string[];
  /** Bytes of one repository. @default no limit */
  readonly quota?: number;
  /** @default false */
  readonly sparse?: boolean;
  /** Milliseconds. @default for good */
  readonly keepUntagged?: number;
}

interface OfRegistry {
  /** Its key in the configuration. */
  readonly key: string;
  readonly name: string;
  readonly library: boolean;
  /** Its option in messages. */
  readonly where: string;
  readonly report: (problem: string) => void;
}

/** Whether every repository of a registry is hosted, so that it needs no upstream. */
export function isAllHosted({ hosted = [] }: Pick<HostingOptions, 'hosted'>): boolean {
  return hosted.includes('**');
}

/** What of a registry can be pushed, with canonical patterns; undefined where nothing can. Reports each pattern that can match nothing. */
export function hostingOf(options: HostingOptions, registry: OfRegistry): HostingSpec | undefined {
  const { quota, sparse = false, keepUntagged } = options;
  const canonical = (option: 'hosted' | 'push'): readonly string[] =>
    (options[option] ?? []).map((text, at) => {
      const pattern = canonicalRepository(text, registry);
      reportFault(faultOfRepository(pattern), { option: `${option}[${at}]`, text, registry });
      return pattern;
    });
  const hosted = canonical('hosted');
  const push = canonical('push');
  const immutableTags = (options.immutableTags ?? []).map((text, at) => {
    const { pattern, fault } = canonicalTags(text, registry);
    reportFault(fault, { option: `immutable_tags[${at}]`, text, registry });
    return pattern;
  });
  for (const [at, text] of push.entries()) {
    const both = hosted.findIndex((other) => globsMeet(other, text));
    if (both === -1) continue;
    const written = options.hosted?.[both] === '**' ? 'hosted' : `${options.hosted?.[both]} under hosted`;
    registry.report(
      `${registry.where}.push[${at}]: ${options.push?.[at]} and ${written} have repositories in common, and a push has one home; narrow one of the two`,
    );
  }
  if (hosted.length + push.length === 0) return undefined;
  return {
    hosted,
    push,
    immutableTags,
    ...(quota !== undefined && { quota }),
    sparse,
    ...(keepUntagged !== undefined && { keepUntagged }),
  };
}

function reportFault(
  fault: string | undefined,
  { option, text, registry }: { readonly option: string; readonly text: string; readonly registry: OfRegistry },
): void {
  if (fault === undefined) return;
  registry.report(`${registry.where}.${option}: ${JSON.stringify(text)} matches nothing: ${fault}`);
}

/** A pattern without the registry in front, and with `library/` where the registry adds it. */
function canonicalRepository(text: string, { key, name, library }: OfRegistry): string {
  const slash = text.indexOf('/');
  const first = slash === -1 ? '' : text.slice(0, slash);
  const host = canonicalHost(first);
  const isOwn =
    first !== '' &&
    (first === key || first === name || (host !== undefined && knownRegistryByHost(host)?.name === name));
  const rest = isOwn ? text.slice(slash + 1) : text;
  return library && !rest.includes('/') && !rest.includes('**') ? `library/${rest}` : rest;
}

/** `v*` stays; `acme/app:v*` loses its registry; `acme/**` is every tag of these. */
function canonicalTags(
  text: string,
  registry: OfRegistry,
): { readonly pattern: string; readonly fault: string | undefined } {
  const colon = text.lastIndexOf(':');
  const hasTag = colon !== -1 && text.indexOf('/', colon) === -1;
  if (!hasTag && !text.includes('/')) return { pattern: text, fault: faultOfTag(text) };
  const repository = canonicalRepository(hasTag ? text.slice(0, colon) : text, registry);
  const tag = hasTag ? text.slice(colon + 1) : '*';
  return { pattern: `${repository}:${tag}`, fault: faultOfRepository(repository) ?? faultOfTag(tag) };
}

/** Why no repository has such a name: each wildcard stands for something that the grammar allows. */
function faultOfRepository(pattern: string): string | undefined {
  if (/[A-Z]/.test(pattern)) return 'names of repositories are in lower case';
  if (isRepositoryName(sampleOf(pattern))) return undefined;
  if (pattern.includes(':')) return 'it is a pattern of repositories, such as acme/**; leave the tag out';
  return 'each component of a repository begins and ends with a letter or digit, as in acme/**';
}

function faultOfTag(pattern: string): string | undefined {
  return isTag(sampleOf(pattern)) ? undefined : 'a tag begins with a letter, a digit or _, and has no slash';
}

function sampleOf(pattern: string): string {
  return pattern.replace(/[*?]+/g, 'a');
}
