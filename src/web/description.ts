import type { ClientSetup } from '../clients/index.ts';
import type { RegistrySpec } from '../oci/index.ts';

/** How to use this server, for the page and for programs. */
export interface HelpDescription {
  readonly version: string;
  /** Host and port, as in image names. */
  readonly host: string;
  /** `http://host:port`, without a trailing slash. */
  readonly url: string;
  readonly defaultRegistry: string;
  /** Whether rules decide who may pull what. */
  readonly hasRules: boolean;
  readonly domainSuffix: string | undefined;
  readonly registries: readonly RegistryHelp[];
  readonly clients: readonly ClientSetup[];
}

/** One registry, and every way to name an image of it. */
export interface RegistryHelp {
  readonly name: string;
  readonly isDefault: boolean;
  readonly aliases: readonly string[];
  /** The URLs of its upstreams, in order; without credentials. Empty where rules decide who may do what. */
  readonly upstreams: readonly string[];
  readonly delivery: RegistrySpec['delivery'];
  /** Whether images are pushed to this server, to all or some of its repositories. */
  readonly isHosted: boolean;
  readonly examples: NamingExamples;
}

/** The same image by each way of naming it. Ways that this registry or server does not have are absent. */
export interface NamingExamples {
  /** `HOST/IMAGE`, for the default registry only. */
  readonly bare?: string;
  /** `HOST/ghcr.io/IMAGE` */
  readonly path?: string;
  /** `ghcr.SUFFIX/IMAGE` */
  readonly hostName?: string;
  /** The API behind a short name, for clients that take a path in a mirror's address. */
  readonly prefix?: string;
  /** The way of containerd. */
  readonly ns: string;
}
