import type { PullThrough } from '../cache/index.ts';
import type { Via } from '../lib/index.ts';
import {
  type AnonymousSources,
  OciError,
  type OriginSource,
  parseRegistryPath,
  type RegistrySpec,
  type Repository,
} from '../oci/index.ts';
import { type Catalogue, qualifyRepository, resolveName } from '../routing/index.ts';
import {
  type Door,
  type PassedGate,
  type RequestContext,
  replyError,
  requireReading,
  writeRefused,
} from '../server/index.ts';
import type { Telemetry } from '../telemetry/index.ts';
import { answerCatalog } from './catalog.ts';
import { toOciError, type Wanted } from './failure.ts';
import { isPublic } from './is-public.ts';
import { answerList } from './lists.ts';
import { answerBase, answerBlob, answerManifest } from './pull.ts';
import type { PathOf, ReadKind, RegistryRequest } from './request.ts';
import type { PushedRows, Row } from './row.ts';

interface RegistryDoorOptions {
  readonly catalogue: Catalogue;
  readonly cache: PullThrough;
  readonly telemetry: Telemetry;
  /** The upstreams of a registry of the catalogue, and who the request has passed on its way to them. */
  readonly originFor: (registry: RegistrySpec, via: Via | undefined) => OriginSource;
  /** Undefined where nothing can be pushed. */
  readonly pushed?: PushedRows | undefined;
  /** As `RegistryRequest.anonymous`. */
  readonly anonymousFor: (registry: RegistrySpec, via: Via | undefined) => AnonymousSources | undefined;
}

interface ReadRow<Kind extends ReadKind> extends Pick<Row, 'action' | 'wanted'> {
  readonly answer: (
    request: RegistryRequest<PathOf<Kind>>,
    cache: PullThrough,
    gate: PassedGate,
  ) => Promise<void> | void;
}

/** What is read of mirrored repositories on one screen (distribution-spec, "Endpoints"): GET and HEAD of each kind of path. */
const ROWS: { readonly [Kind in ReadKind]: ReadRow<Kind> } = {
  base: { action: 'connect', wanted: 'list', answer: answerBase },
  manifest: { action: 'pull', wanted: 'manifest', answer: answerManifest },
  blob: { action: 'pull', wanted: 'blob', answer: answerBlob },
  tags: { action: 'pull', wanted: 'list', answer: answerList },
  referrers: { action: 'pull', wanted: 'list', answer: answerList },
  catalog: { action: 'catalog', wanted: 'list', answer: answerCatalog },
};

/** The door of the registry API. It recognizes every request: what no other door takes is read as a name. */
export function createRegistryDoor(options: RegistryDoorOptions): Door {
  const readRows = readRowsOf(options.cache);
  const { telemetry } = options;
  return {
    open(context) {
      context.route = 'registry';
      let wanted: Wanted = 'list';
      return {
        takesSlot: true,
        parse() {
          const request = parseRequest(context, options);
          const row = options.pushed?.rowOf(request) ?? readRowOf(request, readRows, options);
          wanted = row.wanted;
          return {
            access: { action: row.action, repository: request.repository },
            challenge: { scope: scopeOf(request, row) },
            isPublic: row.isPublic && (() => row.isPublic?.(request) ?? true),
            answer(gate) {
              if (context.target !== undefined) telemetry.publish('pull.started', context);
              return row.answer(request, gate);
            },
          };
        },
        fail(error) {
          if (isRefusedAtGate(context, error)) telemetry.publish('pull.refused', context);
          const answer = toOciError(error, wanted);
          if (answer !== undefined) replyError(context, answer);
          return answer !== undefined;
        },
      };
    },
  };
}

/**
 * Whether the gate refuses a pull to a client that showed a credential. Without one, it is how clients learn that they must log
 * in.
 */
function isRefusedAtGate({ target, passedAt, request, principal }: RequestContext, error: unknown): boolean {
  if (target === undefined || passedAt !== undefined || !(error instanceof OciError)) return false;
  const isRefusal = error.code === 'DENIED' || error.code === 'UNAUTHORIZED';
  return isRefusal && (request.headers.authorization !== undefined || principal !== undefined);
}

/** The rows that read mirrored repositories. The compiler cannot see that a row belongs to the kind of its path. */
function readRowsOf(cache: PullThrough): Readonly<Record<ReadKind, Row>> {
  const rows = Object.entries(ROWS as unknown as Record<ReadKind, ReadRow<ReadKind>>).map(([kind, row]) => [
    kind,
    {
      ...row,
      isPublic: row.action === 'pull' ? (request: ReadRequest) => isPublic(request, cache) : undefined,
      answer: (request: ReadRequest, gate: PassedGate) => row.answer(request, cache, gate),
    },
  ]);
  return Object.fromEntries(rows) as Record<ReadKind, Row>;
}

type ReadRequest = RegistryRequest<PathOf<ReadKind>>;

/** @throws {OciError} for a request that changes something */
function readRowOf(
  { context, path, repository }: RegistryRequest,
  rows: Readonly<Record<ReadKind, Row>>,
  { pushed }: Pick<RegistryDoorOptions, 'pushed'>,
): Row {
  if (pushed !== undefined && !context.isReading && repository.repository !== '') throw notPushedTo(repository);
  requireReading(context);
  // A mirror takes no uploads, so it refuses requests for the state of one too.
  if (path.kind === 'uploads') throw writeRefused();
  return rows[path.kind];
}

/** The answer to a push or deletion where other repositories take them. */
function notPushedTo({ registry, repository }: Repository): OciError {
  const message =
    `${registry}/${repository} is mirrored: nothing can be pushed to it or deleted from it; ` +
    `the operator of this server sets hosted or push under registries.${registry}`;
  return new OciError('UNSUPPORTED', message, { headers: { allow: 'GET, HEAD', connection: 'close' } });
}

function parseRequest(
  context: RequestContext,
  { catalogue, pushed, originFor, anonymousFor }: RegistryDoorOptions,
): RegistryRequest {
  // Before the name: the answer to a method is the same whatever it is for.
  if (pushed === undefined) requireReading(context);
  const ns = context.query === '' ? undefined : (new URLSearchParams(context.query).get('ns') ?? undefined);
  const name = resolveName(catalogue, { host: context.host, path: context.path, ns });
  const { registry } = name;
  context.registry = registry.name;
  context.ns = ns;
  const path = parseRegistryPath(name.path);
  const repository = 'repository' in path ? qualifyRepository(registry, path.repository) : '';
  context.repository = repository === '' ? undefined : repository;
  context.namedBy = name.namedBy;
  if (context.isReading && (path.kind === 'manifest' || path.kind === 'blob')) context.target = path;
  const origin = originFor(registry, context.via);
  const anonymous = anonymousFor(registry, context.via);
  return { context, name, path, repository: { registry: registry.name, repository }, origin, anonymous };
}

/** What a client asks the token service for, in its own spelling of the name (distribution-spec, "Token Scope"). */
function scopeOf({ name: { addressing }, path }: RegistryRequest, { scope = 'pull' }: Row): string | undefined {
  if (path.kind === 'catalog') return 'registry:catalog:*';
  if (path.kind === 'base') return undefined;
  const start = addressing.prefix.indexOf('/v2/') + '/v2/'.length;
  return `repository:${addressing.prefix.slice(start)}${path.repository}:${scope}`;
}
