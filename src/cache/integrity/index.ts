/**
 * Whether the stored bytes are still right: verification, scrub, quarantine, and the reconciliation of rows with files.
 *
 * It never serves a byte and never asks an upstream: corrupt content is quarantined, and the next request fetches it again.
 */

export type { BlobRows } from './blob-rows.ts';
export type { Corruption } from './corruption.ts';
export { type Inspection, RottenBlobError, shortened, unreadable } from './inspection.ts';
export { isReconciliationDue, reconcile } from './reconcile.ts';
export { forgetWithoutFile, removeBlob } from './removal.ts';
export { Scrub, type ScrubProgress, type ScrubRows } from './scrub.ts';
export { type CheckedBlob, Verification } from './verification.ts';
