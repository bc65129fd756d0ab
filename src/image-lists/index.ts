/**
 * Names of images out of texts: a plain list, a Compose file, Kubernetes manifests and rendered charts, a Dockerfile. What a
 * text is, its content tells.
 *
 * It is given texts and answers names, each with its line. It never opens a file, follows no include, reads no environment, and
 * never decides whether a registry has an image. What it leaves out, it notes with the line.
 */
export type { FoundImage, ImageList, ListedText, ListNote } from './findings.ts';
export { ImageListError, MAX_TEXT_BYTES } from './findings.ts';
export { readImageLists } from './read.ts';
