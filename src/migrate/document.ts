import type { Source } from '../config/index.ts';
import type { MapTree } from './fields.ts';

/** A file with options in it. */
export interface TreeDocument {
  readonly kind: 'tree';
  readonly syntax: 'YAML' | 'JSON' | 'TOML';
  readonly file: FileName;
  readonly tree: MapTree;
}

/** How a program is started: its variables and its command line, from whatever file has them. */
export interface ProgramDocument {
  readonly kind: 'program';
  readonly file: FileName;
  /** The names of the program that the file gives: service, image, command. */
  readonly names: readonly string[];
  readonly variables: ReadonlyMap<string, Word>;
  /** The arguments after the name of the program. */
  readonly args: readonly Word[];
  /** The place of the program in the file. */
  readonly source: Source;
}

export type Document = TreeDocument | ProgramDocument;

export interface Word {
  readonly text: string;
  readonly source: Source;
}

export interface FileName {
  /** As messages and comments show it. */
  readonly label: string;
  /** Absolute; undefined for standard input. */
  readonly path: string | undefined;
}
