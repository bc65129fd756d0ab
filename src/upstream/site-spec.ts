import type { UpstreamSpec } from '../oci/index.ts';

/**
 * A site that is mirrored under a path of this server, whatever its protocol over HTTP.
 */
export interface MirrorSpec {
  /** Unique; the `route` of its requests in log and metrics. */
  readonly name: string;
  /** `/github`: one or more segments, without a trailing slash. */
  readonly prefix: string;
  /** The site. Its URL is the base of every request: what follows the prefix is appended. */
  readonly upstream: UpstreamSpec;
  /** True: the site gets the client's own `Host`. */
  readonly preserveHost: boolean;
  /** Allowed methods, in capitals. */
  readonly methods: readonly string[];
  readonly cache: MirrorCache;
}

/** Whether responses are cached. */
export interface MirrorCache {
  /** False: everything is streamed. */
  readonly enabled: boolean;
  /** Patterns of paths behind the prefix whose content never changes; `*` within one segment, `**` across. */
  readonly immutable: readonly string[];
}
