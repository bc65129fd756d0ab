import { OciError, parseRegistryPath, type RegistryPath, type Repository } from '../oci/index.ts';
import { type Catalogue, qualifyRepository, type ResolvedName, resolveName } from '../routing/index.ts';
import { type Door, type RequestContext, replyBytes, requireReading } from '../server/index.ts';
import { type Canary, canaryView } from './canary.ts';
import { CANARY_REPOSITORY, type CanaryContent, canaryBlob, canaryManifest } from './image.ts';

/** In front of a canary's tag: which requests for it came. */
export const VIEW_PATH = '/canary/';

interface CanaryDoorOptions {
  readonly canary: Canary;
  readonly catalogue: Catalogue;
  readonly version: string;
}

/** Part of every path of a canary, so that every other request is recognized by one comparison. */
const WORD = 'canary';

type Opened = ReturnType<Door['open']>;

/**
 * The door of canaries and of what is known of them. A request for any other content of the repository is left to the
 * registry API.
 */
export function createCanaryDoor(options: CanaryDoorOptions): Door {
  return {
    open(context) {
      if (!context.path.includes(WORD)) return undefined;
      return context.path.startsWith(VIEW_PATH) ? openView(context, options) : openContent(context, options);
    },
  };
}

function openView(context: RequestContext, { canary, version }: CanaryDoorOptions): Opened {
  const view = canaryView(canary, context.path.slice(VIEW_PATH.length), version);
  if (view === undefined) return undefined;
  return {
    takesSlot: true,
    parse() {
      requireReading(context);
      context.route = 'canary';
      const headers = { 'content-type': 'application/json', 'cache-control': 'no-store' };
      return { access: undefined, answer: () => replyBytes(context, 200, headers, JSON.stringify(view)) };
    },
  };
}

interface Asked {
  readonly name: ResolvedName;
  readonly repository: Repository;
  readonly content: CanaryContent;
  /** The tag of the canary, where the request names one; its index then, and not what is below it. */
  readonly tag: string | undefined;
  readonly isIndex: boolean;
}

function openContent(context: RequestContext, options: CanaryDoorOptions): Opened {
  const asked = find(context, options);
  if (asked === undefined) return undefined;
  const { name, repository, content, tag, isIndex } = asked;
  return {
    takesSlot: true,
    parse() {
      requireReading(context);
      context.route = 'canary';
      context.registry = name.registry.name;
      context.repository = repository.repository;
      context.ns = name.addressing.ns;
      const answered = isIndex
        ? options.canary.note(content.digest, tag, {
            at: Date.now(),
            method: context.method,
            client: context.client,
            userAgent: context.request.headers['user-agent'],
            registry: repository.registry,
            namedBy: name.namedBy,
          })
        : undefined;
      return {
        // As the version check: any token will do, so that a pull of it proves the way, and no rule has to name it.
        access: { action: 'connect', repository: undefined },
        // Clients know the scope of a pull themselves.
        challenge: { scope: undefined },
        answer() {
          answered?.();
          const { digest, mediaType, bytes } = content;
          const headers = {
            'content-type': mediaType,
            'docker-content-digest': digest,
            etag: `"${digest}"`,
            'cache-control': 'no-store',
          };
          replyBytes(context, 200, headers, bytes);
        },
      };
    },
  };
}

/** Undefined where the request is for something else, or wrong: the registry API answers it then. */
function find(context: RequestContext, { canary, catalogue }: CanaryDoorOptions): Asked | undefined {
  try {
    const ns = context.query === '' ? undefined : (new URLSearchParams(context.query).get('ns') ?? undefined);
    const name = resolveName(catalogue, { host: context.host, path: context.path, ns });
    const path = parseRegistryPath(name.path);
    if (!('repository' in path)) return undefined;
    const repository = qualifyRepository(name.registry, path.repository);
    if (repository !== CANARY_REPOSITORY) return undefined;
    const found = contentAt(path, canary);
    return found && { name, repository: { registry: name.registry.name, repository }, ...found };
  } catch (error) {
    if (error instanceof OciError) return undefined;
    throw error;
  }
}

function contentAt(path: RegistryPath, canary: Canary): Pick<Asked, 'content' | 'tag' | 'isIndex'> | undefined {
  if (path.kind === 'blob') return found(canaryBlob(path.digest));
  if (path.kind !== 'manifest') return undefined;
  const { reference } = path;
  if (reference.kind === 'tag') {
    const content = canary.byTag(reference.tag);
    return content && { content, tag: reference.tag, isIndex: true };
  }
  const index = canary.byDigest(reference.digest);
  if (index !== undefined) return { content: index, tag: undefined, isIndex: true };
  return found(canaryManifest(reference.digest));
}

function found(content: CanaryContent | undefined): Pick<Asked, 'content' | 'tag' | 'isIndex'> | undefined {
  return content && { content, tag: undefined, isIndex: false };
}
