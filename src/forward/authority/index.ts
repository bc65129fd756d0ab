/**
 * The certificate authority of decrypted tunnels: its key, its files, the certificates it signs.
 *
 * It never opens a connection and never decides which hosts are decrypted.
 */
export { type Authority, AuthorityError, createAuthority, openAuthority } from './certificates.ts';
export {
  type AuthorityFiles,
  authorityFilesIn,
  findOrWriteAuthority,
  readAuthority,
  readAuthorityCertificate,
  writeAuthority,
} from './files.ts';
export { LeafCertificates } from './leaves.ts';
