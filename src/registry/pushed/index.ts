/**
 * The answers to requests for repositories that are pushed to.
 *
 * They never decide who may push, and never touch a file: what they answer from is `hosting/`.
 */
export { UPLOAD_ROWS, type UploadParts, uploadRowOf } from './uploads.ts';
