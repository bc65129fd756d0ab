import type { ClientSetup } from '../clients/index.ts';
import type { RegistrySpec } from '../oci/index.ts';

/** How this server is used: what the page shows, and what a program gets. */
export interface HelpDescription {
  readonly version: string;
  /** Host and port to be used in image names. */
  readonly host: string;
  /** `http://host:port`, without a trailing slash. */
  readonly url: string;
  readonly defaultRegistry: string;
  readonly domainSuffix: string | undefined;
  readonly registries: readonly RegistryHelp[];
  readonly clients: readonly ClientSetup[];
}

/** How one registry is reached, in every way this server understands. */
export interface RegistryHelp {
  readonly name: string;
  readonly isDefault: boolean;
  readonly aliases: readonly string[];
  /** Who is asked, in order; without credentials. */
  readonly upstreams: readonly string[];
  readonly delivery: RegistrySpec['delivery'];
  readonly examples: NamingExamples;
}

/** One and the same image, by each way of naming it; a way that this registry or server has not is absent. */
export interface NamingExamples {
  /** `HOST/IMAGE`: the default registry alone. */
  readonly bare?: string;
  /** `HOST/ghcr.io/IMAGE` */
  readonly path?: string;
  /** `ghcr.SUFFIX/IMAGE` */
  readonly hostName?: string;
  /** The API behind a short name, for clients that take a path in a mirror's address. */
  readonly prefix?: string;
  /** What containerd appends. */
  readonly ns: string;
}
