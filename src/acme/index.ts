/**
 * Certificates of listeners from an ACME server (RFC 8555): ordered over HTTP-01, stored in files, and renewed in time.
 *
 * It never opens a listener and never replaces a certificate in use: it writes a file, which `server/tls` puts to use. It asks
 * an ACME server for nothing but certificates of the configured domains.
 */

export { AcmeCertificates, type AcmeStatus } from './certificates.ts';
export type { AcmeSpec } from './files.ts';
