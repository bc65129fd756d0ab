import { isDockerfile, readDockerfile } from './dockerfile.ts';
import { Findings, type ImageList, type ListedText, MAX_TEXT_BYTES, Reading } from './findings.ts';
import { isPlainList, readPlainList } from './plain-list.ts';
import { readYamlList } from './yaml-list.ts';

/**
 * The images of some texts, each told apart by its content: a plain list, a Compose file, Kubernetes manifests, a Dockerfile.
 * Each text is read by itself: a Compose file does not override the one before it, so that no image is missed.
 *
 * @throws {ImageListError} for the first text that is too large, of no known kind, or broken
 */
export function readImageLists(texts: readonly ListedText[]): ImageList {
  const findings = new Findings();
  for (const { name, text } of texts) readText(text, new Reading(name, findings));
  return findings.list;
}

function readText(given: string, reading: Reading): void {
  if (Buffer.byteLength(given) > MAX_TEXT_BYTES) {
    throw reading.refusal(1, `found more than ${MAX_TEXT_BYTES / 1024 / 1024} MiB; split it`);
  }
  // Line ends of Windows and a byte order mark change no image, and no line number.
  const text = given.replace(/^\u{feff}/u, '').replaceAll('\r\n', '\n');
  const line = text.split('\n').findIndex((each) => each.includes('\0'));
  if (line !== -1) throw reading.refusal(line + 1, 'found a zero byte, expected a text');
  if (isDockerfile(text)) readDockerfile(text, reading);
  else if (isPlainList(text)) readPlainList(text, reading);
  else readYamlList(text, reading);
}
