/**
 * Every kind of finding, and what it is about. The names are public: `--json` has them, and docs/doctor.md explains each with
 * its remedy.
 */
export const FINDINGS = {
  'config.valid': 'the configuration that this command and the server read',
  'server.running': 'whether a server runs, by its control socket or at its address',
  'server.version': 'whether the running server is of the version of this command',
  'server.config': 'a warning of the running server about its configuration',
  'server.address': 'whether the server answers at an address',
  'server.certificate': 'the certificate of the server',
  'server.ready': 'whether the server takes pulls',
  'server.login': 'whether the server gives a client a token',
  'disk.directory': 'whether the cache directory is there and can be written',
  'disk.space': 'whether the disk has more room than the server keeps free',
  'disk.caching': 'whether pulled content is kept',
  'clock.skew': 'whether the clock of this machine agrees with those of the upstreams',
  'upstream.reachable': 'whether an upstream can be reached, and its login works',
  'upstream.dns': 'the name of an upstream, or of the outbound proxy',
  'upstream.tcp': 'the connection to an upstream',
  'upstream.outbound-proxy': 'the connection by the outbound proxy',
  'upstream.tls': 'the TLS handshake with an upstream, and its certificate',
  'upstream.http': 'the answer of an upstream to a request without a token',
  'upstream.token': 'the login at an upstream',
  'upstream.quota': 'the pulls that an upstream still allows',
  'upstream.health': 'an upstream that the running server leaves alone because it failed',
  'image.name': 'how the name of the image is understood',
  'image.server': 'whether the server would serve the image, and from where',
  'image.manifest': 'whether an upstream has the manifest',
  'image.platform': 'whether the image is there for the platform of this machine',
  'image.blob': 'whether a layer can be fetched',
  'client.config': 'whether the files of a client on this machine name the server',
  'canary.served': 'whether the server answers its canary at its address',
  'canary.pull': 'whether a pull of a client came to the server',
} as const;

export type FindingId = keyof typeof FINDINGS;

/** `skipped`: not tried, because something else is missing. */
export type FindingState = 'ok' | 'warning' | 'failed' | 'skipped';

/** One finding. The texts are for people, and may change. */
export interface Finding {
  readonly id: FindingId;
  /** What it is about: an address, an upstream, a client. */
  readonly what: string;
  readonly state: FindingState;
  readonly found: string;
  /** What to do; every finding that is `warning` or `failed` has one. */
  readonly remedy?: string | undefined;
}

type About = Pick<Finding, 'id' | 'what' | 'found'>;

export function ok(about: About): Finding {
  return finding(about, 'ok', undefined);
}

export function warning(about: About, remedy: string): Finding {
  return finding(about, 'warning', remedy);
}

export function failed(about: About, remedy: string): Finding {
  return finding(about, 'failed', remedy);
}

/** @param remedy what would let it be tried */
export function skipped(about: About, remedy?: string): Finding {
  return finding(about, 'skipped', remedy);
}

/** In the order in which `--json` shows the fields. */
function finding({ id, what, found }: About, state: FindingState, remedy: string | undefined): Finding {
  return { id, what, state, found, ...(remedy === undefined ? {} : { remedy }) };
}
