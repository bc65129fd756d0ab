/**
 * Certificates of listeners: reads and checks them, and renews them while the server runs.
 *
 * It never creates a certificate.
 */

export { readTlsFiles, type TlsFiles } from './files.ts';
export { CertificateKeeper, type ListenerCertificate } from './renewal.ts';
