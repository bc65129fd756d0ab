import type { CredentialSource, TlsSpec, TransportSpec } from '../oci/index.ts';

/**
 * A site that is mirrored under a path of this server, whatever its protocol over HTTP.
 */
export interface MirrorSpec {
  /** Unique; the `route` of its requests in log and metrics. */
  readonly name: string;
  /** `/github`: one or more segments, without a trailing slash. */
  readonly prefix: string;
  /** `http(s)://host[:port][/path]`, without a trailing slash; the rest of a request's path is appended. */
  readonly upstream: string;
  /** True: the site gets the client's own `Host`. */
  readonly preserveHost: boolean;
  /** Allowed methods, in capitals. */
  readonly methods: readonly string[];
  readonly cache: MirrorCache;
  readonly credentials: CredentialSource | undefined;
  /** Sent to the site itself, never to redirect targets; they replace the client's own. */
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsSpec | undefined;
  readonly transport?: TransportSpec;
  /** Where given, the only hosts (or `*.suffix`) besides the site itself that a redirect may lead to. */
  readonly redirectHosts: readonly string[] | undefined;
}

export type MirrorCache = {
  /** False: everything is streamed. */
  readonly enabled: boolean;
  /** Patterns of paths behind the prefix whose content never changes; `*` within one segment, `**` across. */
  readonly immutable: readonly string[];
};
