/**
 * An OCI image layout of each hosted repository, written after its records change, and the records rebuilt from the layouts.
 *
 * The records decide, and a layout follows: it is never asked while they are there. It never copies a blob, and never deletes a
 * layout or a file that it did not make.
 */
export { needsRebuild } from './layout-files.ts';
export { type RebuildOptions, type RebuildProgress, type RebuildReport, rebuildRecords } from './rebuild.ts';
export { type FileRebuildOptions, type FileRebuildReport, RebuildError, rebuildRecordsFile } from './rebuild-file.ts';
export { watchRecords } from './watched-records.ts';
export { LayoutWriter, type LayoutWriterOptions } from './writer.ts';
