import type { Action } from '../access/index.ts';
import type { PullThrough } from '../cache/index.ts';
import { type OriginSource, parseRegistryPath, type RegistrySpec, type Repository } from '../oci/index.ts';
import { type Catalogue, qualifyRepository, resolveName } from '../routing/index.ts';
import {
  type Door,
  type DoorRequest,
  type RequestContext,
  replyError,
  requireReading,
  writeRefused,
} from '../server/index.ts';
import { toOciError, type Wanted } from './failure.ts';
import { answerList } from './lists.ts';
import { answerBase, answerBlob, answerManifest } from './pull.ts';
import type { PathOf, ReadKind, RegistryRequest } from './request.ts';

export interface RegistryDoorOptions {
  readonly catalogue: Catalogue;
  readonly cache: PullThrough;
  /** The upstreams of a registry of the catalogue. */
  readonly originFor: (registry: RegistrySpec) => OriginSource;
}

/** One kind of request: what the gate is asked for it, what is missing when it is not found, and its answer. */
interface Row<Kind extends ReadKind> {
  readonly action: Action;
  readonly wanted: Wanted;
  readonly answer: (request: RegistryRequest<PathOf<Kind>>, cache: PullThrough) => Promise<void> | void;
}

/** The API on one screen (distribution-spec, "Endpoints"): GET and HEAD of each kind of path. */
const ROWS: { readonly [Kind in ReadKind]: Row<Kind> } = {
  base: { action: 'pull', wanted: 'list', answer: answerBase },
  manifest: { action: 'pull', wanted: 'manifest', answer: answerManifest },
  blob: { action: 'pull', wanted: 'blob', answer: answerBlob },
  tags: { action: 'pull', wanted: 'list', answer: answerList },
  referrers: { action: 'pull', wanted: 'list', answer: answerList },
  catalog: { action: 'catalog', wanted: 'list', answer: answerList },
};

/** The door of the registry API. It recognizes every request: what no other door takes is read as a name. */
export function createRegistryDoor(options: RegistryDoorOptions): Door {
  return { open: (context) => new OpenedRequest(context, options) };
}

class OpenedRequest implements DoorRequest {
  readonly takesSlot = true;
  readonly #context: RequestContext;
  readonly #options: RegistryDoorOptions;
  #request: RegistryRequest | undefined;
  #wanted: Wanted = 'list';

  constructor(context: RequestContext, options: RegistryDoorOptions) {
    this.#context = context;
    this.#options = options;
    context.route = 'registry';
  }

  parse(): { readonly action: Action; readonly repository: Repository } {
    const context = this.#context;
    requireReading(context);
    const ns = context.query === '' ? undefined : (new URLSearchParams(context.query).get('ns') ?? undefined);
    const name = resolveName(this.#options.catalogue, { host: context.host, path: context.path, ns });
    const { registry } = name;
    context.registry = registry.name;
    context.ns = ns;
    const path = parseRegistryPath(name.path);
    // Nothing is uploaded to a mirror, so there is no upload to ask about either.
    if (path.kind === 'uploads') throw writeRefused();
    const { action, wanted } = ROWS[path.kind];
    this.#wanted = wanted;
    const repository = {
      registry: registry.name,
      repository: 'repository' in path ? qualifyRepository(registry, path.repository) : '',
    };
    context.repository = repository.repository === '' ? undefined : repository.repository;
    this.#request = { context, name, path, repository, origin: this.#options.originFor(registry) };
    return { action, repository };
  }

  answer(): Promise<void> | void {
    const request = this.#request;
    if (request === undefined) throw new TypeError('A request is answered before it was parsed');
    // The row of a kind takes the request of that kind, which the compiler cannot see.
    const row = ROWS[request.path.kind] as Row<ReadKind>;
    return row.answer(request, this.#options.cache);
  }

  fail(error: unknown): boolean {
    const answer = toOciError(error, this.#wanted);
    if (answer === undefined) return false;
    replyError(this.#context, answer);
    return true;
  }
}
