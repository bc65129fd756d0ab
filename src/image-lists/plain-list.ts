import { isImageName, type Reading, whyNoName } from './findings.ts';

/** A line of a plain list without its comment: `#` begins one at the start of a line and after a space. */
function withoutComment(line: string): string {
  const text = line.trim();
  if (text.startsWith('#')) return '';
  const comment = text.search(/\s#/);
  return comment === -1 ? text : text.slice(0, comment).trim();
}

/** Whether the first line that says something can be the name of an image, and is neither YAML nor a Dockerfile. */
export function isPlainList(text: string): boolean {
  const first = text
    .split('\n')
    .map(withoutComment)
    .find((line) => line !== '');
  return first !== undefined && !first.endsWith(':') && isImageName(first);
}

/** One image a line, with empty lines and comments. A line that names none is refused: it would be missed in silence. */
export function readPlainList(text: string, reading: Reading): void {
  for (const [index, line] of text.split('\n').entries()) {
    const image = withoutComment(line);
    if (image === '') continue;
    if (/\s/.test(image)) throw reading.refusal(index + 1, 'found several words, expected one image a line');
    if (!isImageName(image)) throw reading.refusal(index + 1, `${whyNoName(image)}; expected one image a line`);
    reading.image(image, index + 1);
  }
}
