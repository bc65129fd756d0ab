/** A text with the name that messages give it. */
export interface ListedText {
  /** `compose.yaml`, `standard input` */
  readonly name: string;
  readonly text: string;
}

/** One image, as the text names it. */
export interface FoundImage {
  readonly image: string;
  readonly file: string;
  /** From 1: where the image stands first. */
  readonly line: number;
}

/** What was left out of a list, or why a text is refused. */
export interface ListNote {
  readonly file: string;
  /** From 1. */
  readonly line: number;
  readonly message: string;
}

export interface ImageList {
  /** Each text once, in the order in which they were found. */
  readonly images: readonly FoundImage[];
  readonly notes: readonly ListNote[];
}

/** Bytes of one text, in UTF-8. */
export const MAX_TEXT_BYTES = 4 * 1024 * 1024;
/** Distinct images of one call. */
const MAX_IMAGES = 10_000;
/** Notes that are kept; a last one says that there were more. */
const MAX_NOTES = 1000;
/** Characters of a name. A registry allows 255 of them, a tag 128 and a digest 135. */
export const MAX_NAME = 1000;

/** A text that is refused: it is too large, of no kind that is read, or broken. */
export class ImageListError extends Error {
  override readonly name = 'ImageListError';
  readonly place: ListNote;

  constructor(place: ListNote) {
    super(`${place.file}:${place.line}: ${place.message}`);
    this.place = place;
  }
}

const NAME = /^[A-Za-z0-9[][\w.:/@[\]-]*$/;

/** Whether a text can be the name of an image; whether there is such an image, the catalogue and the registries say. */
export function isImageName(text: string): boolean {
  return text.length <= MAX_NAME && NAME.test(text);
}

/** What was found so far, in every text of a call. */
export class Findings {
  readonly #images = new Map<string, FoundImage>();
  readonly #notes: ListNote[] = [];
  #isCut = false;

  get list(): ImageList {
    return { images: [...this.#images.values()], notes: this.#notes };
  }

  get count(): number {
    return this.#images.size;
  }

  /** @throws {ImageListError} beyond {@link MAX_IMAGES} */
  add(found: FoundImage): void {
    if (this.#images.has(found.image)) return;
    if (this.#images.size >= MAX_IMAGES) {
      const { file, line } = found;
      throw new ImageListError({ file, line, message: `found more than ${MAX_IMAGES} images; split the list` });
    }
    this.#images.set(found.image, found);
  }

  note(note: ListNote): void {
    if (this.#notes.length < MAX_NOTES) this.#notes.push(note);
    else if (!this.#isCut) {
      this.#isCut = true;
      this.#notes.push({ ...note, message: `more than ${MAX_NOTES} entries were left out; the others are not listed` });
    }
  }
}

/** One text that is being read: its findings carry its name. */
export class Reading {
  readonly file: string;
  readonly #findings: Findings;

  constructor(file: string, findings: Findings) {
    this.file = file;
    this.#findings = findings;
  }

  /** Takes what stands where an image stands; notes what can be none. */
  image(text: string, line: number): void {
    const image = text.trim();
    if (image === '') this.note(line, 'the image is empty; another program fills it in');
    else if (isImageName(image)) this.#findings.add({ image, file: this.file, line });
    else this.note(line, whyNoName(image));
  }

  note(line: number, message: string): void {
    this.#findings.note({ file: this.file, line, message });
  }

  /** The error of a text that is refused. */
  refusal(line: number, message: string): ImageListError {
    return new ImageListError({ file: this.file, line, message });
  }
}

/** The reason of a text that can be no name. */
export function whyNoName(text: string): string {
  if (text.length > MAX_NAME) return `the name of the image has more than ${MAX_NAME} characters`;
  const shown = printable(text);
  return /\$|\{\{|%/.test(text)
    ? `${shown} has a variable, which only its own program fills in; write the image out in a list`
    : `${shown} is no name of an image`;
}

/** A text of a file, short and without what a terminal would obey. */
export function printable(text: string): string {
  const clean = text.replace(/\p{C}/gu, '?');
  return `"${clean.length > 100 ? `${clean.slice(0, 97)}...` : clean}"`;
}
