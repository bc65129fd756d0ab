/**
 * The forward proxy: requests in absolute form, CONNECT tunnels, and tunnels that are decrypted.
 *
 * It serves only hosts on the allow-list. It never caches: a request for a known registry goes to the registry API instead.
 */

export { compileAllowedHosts } from './allowed-hosts.ts';
export {
  type Authority,
  AuthorityError,
  type AuthorityFiles,
  authorityFilesIn,
  findOrWriteAuthority,
  openAuthority,
  readAuthority,
  readAuthorityCertificate,
  writeAuthority,
} from './authority/index.ts';
export { DEFAULT_PRESETS, hostsOfPresets } from './host-presets.ts';
export { createInterceptor } from './mitm.ts';
export { createForward, type ForwardOptions, type OpenTunnels } from './proxy.ts';
