/**
 * Certificates of listeners: read, checked, renewed while the server runs.
 *
 * It never creates a certificate.
 */

export { readTlsFiles } from './files.ts';
export { CertificateKeeper, type ListenerCertificate } from './renewal.ts';
