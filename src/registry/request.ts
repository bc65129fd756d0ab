import type { AnonymousSources, OriginSource, RegistryPath, Repository } from '../oci/index.ts';
import type { ResolvedName } from '../routing/index.ts';
import type { RequestContext } from '../server/index.ts';

/** The kinds of paths that are read. */
export type ReadKind = Exclude<RegistryPath['kind'], 'uploads'>;

/** A parsed path of one kind. */
export type PathOf<Kind extends RegistryPath['kind']> = Extract<RegistryPath, { kind: Kind }>;

/** A request whose registry, repository and path are known. */
export interface RegistryRequest<Path extends RegistryPath = RegistryPath> {
  readonly context: RequestContext;
  readonly name: ResolvedName;
  readonly path: Path;
  /** The repository as its registry knows it; its name is empty for `/v2/` and the catalogue. */
  readonly repository: Repository;
  /** The upstreams of its registry, of the generation that the request began with. */
  readonly origin: OriginSource;
  /** Undefined where an upstream answers only to the certificate of this server. */
  readonly anonymous: AnonymousSources | undefined;
}
