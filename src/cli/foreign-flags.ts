/** Flags of other servers and registries, with what to write instead. */
const SUBSTITUTES: Readonly<Record<string, string>> = {
  port: '--listen :PORT',
  p: '--listen :PORT',
  host: '--listen HOST:PORT',
  hostname: '--listen HOST:PORT',
  addr: '--listen HOST:PORT',
  address: '--listen HOST:PORT',
  bind: '--listen HOST:PORT',
  l: '--listen HOST:PORT',
  cache: '--cache-dir DIR',
  'data-dir': '--cache-dir DIR',
  'cache-path': '--cache-dir DIR',
  dir: '--cache-dir DIR',
  d: '--cache-dir DIR',
  storage: '--cache-dir DIR',
  f: '--config FILE',
  file: '--config FILE',
  conf: '--config FILE',
  'config-file': '--config FILE',
  debug: '--log-level debug',
  verbose: '--log-level debug',
  v: '--log-level debug, or --version',
  quiet: '--log-level error',
  q: '--log-level error',
  registry: '--default-registry NAME',
  upstream: '--default-registry URL',
  remote: '--default-registry URL',
  proxy: 'outbound_proxy in the configuration, or the variable https_proxy',
  'access-log': 'log: {access: true} in the configuration',
  insecure: 'transport: {insecure_skip_verify: true} in the configuration',
  'tls-cert': 'listen: [{address: …, tls: {cert_file: …, key_file: …}}] in the configuration',
  cert: 'listen: [{address: …, tls: {cert_file: …, key_file: …}}] in the configuration',
  'tls-key': 'listen: [{address: …, tls: {cert_file: …, key_file: …}}] in the configuration',
  'max-size': 'cache: {max_size: …} in the configuration, or ENTREPOT_CACHE__MAX_SIZE',
  validate: 'entrepot config validate',
};

/**
 * Adds what to write instead to an error about an unknown flag. Commander has added the nearest known flag where there is
 * one.
 *
 * @param known the flags of the command, with their dashes: another command's flag is no help
 */
export function withSubstitute(message: string, known: readonly string[]): string {
  const flag = /^error: unknown option '--?([\w-]+)[^']*'\n?$/.exec(message)?.[1]?.toLowerCase();
  const substitute = flag !== undefined && Object.hasOwn(SUBSTITUTES, flag) ? SUBSTITUTES[flag] : undefined;
  const needed = /^--[\w-]+/.exec(substitute ?? '')?.[0];
  if (substitute === undefined || (needed !== undefined && !known.includes(needed))) return message;
  return `${message.trimEnd()}\n(Use ${substitute}.)\n`;
}
