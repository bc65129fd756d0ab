import type { CredentialSource, TlsSpec, TransportSpec } from '../oci/index.ts';

/**
 * A site that is mirrored under a path of this server, whatever it speaks over HTTP.
 *
 * Routing finds it by the path, `upstream/` asks the site, the server passes the answer on; the words they share are here.
 */
export interface MirrorSpec {
  /** Unique; the `route` of its requests in log and metrics. */
  readonly name: string;
  /** `/github`: one or more segments, without a trailing slash. */
  readonly prefix: string;
  /** `http(s)://host[:port][/path]`, without a trailing slash: where what follows the prefix is asked for. */
  readonly upstream: string;
  /** True: the site is asked with the client's own `Host`. */
  readonly preserveHost: boolean;
  /** Methods that pass, in capitals. */
  readonly methods: readonly string[];
  readonly cache: MirrorCache;
  readonly credentials: CredentialSource | undefined;
  /** Sent with each request to the site itself, never to where it redirects; they replace the client's own. */
  readonly headers: Readonly<Record<string, string>>;
  readonly tls: TlsSpec | undefined;
  readonly transport?: TransportSpec;
  /** When given, the only hosts (or `*.suffix`) a redirect may lead to besides the site itself. */
  readonly redirectHosts: readonly string[] | undefined;
}

/** Whether answers are kept. */
export type MirrorCache = {
  /** False: everything is streamed. */
  readonly enabled: boolean;
  /** Patterns of paths behind the prefix whose content never changes; `*` within one segment, `**` across. */
  readonly immutable: readonly string[];
};
