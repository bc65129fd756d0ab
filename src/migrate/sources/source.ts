import type { Document, ProgramDocument, TreeDocument } from '../document.ts';
import type { Draft } from '../draft.ts';
import type { MapTree, Naming } from '../fields.ts';
import { joinTrees, treeOfVariables } from './variables.ts';

/** A program whose configuration can be imported. */
export interface Source {
  /** As messages name it. */
  readonly program: string;
  /** What of it is recognised, for the list of what import understands. */
  readonly files: string;
  /** Whether the content is this program's. */
  readonly matches: (document: Document) => boolean;
  /** Reads the documents that match, of all files, into a draft. */
  readonly convert: (documents: readonly Document[], draft: Draft) => void;
}

/** A source that is a file of options. */
export function treeSource(
  about: Pick<Source, 'program' | 'files'>,
  matches: (document: TreeDocument) => boolean,
  convert: (document: TreeDocument, draft: Draft) => void,
): Source {
  return {
    ...about,
    matches: (document) => document.kind === 'tree' && matches(document),
    convert(documents, draft) {
      for (const document of documents) if (document.kind === 'tree') convert(document, draft);
    },
  };
}

/** A source that is a program's variables and command line. */
export function programSource(
  about: Pick<Source, 'program' | 'files'>,
  matches: (document: ProgramDocument) => boolean,
  convert: (document: ProgramDocument, draft: Draft) => void,
): Source {
  return {
    ...about,
    matches: (document) => document.kind === 'program' && matches(document),
    convert(documents, draft) {
      for (const document of documents) if (document.kind === 'program') convert(document, draft);
    },
  };
}

/** A source that is a file of options, each of which a variable can override. */
export function overridableSource(
  about: Pick<Source, 'program' | 'files'>,
  kinds: {
    readonly isFile: (document: TreeDocument) => boolean;
    readonly isProgram: (document: ProgramDocument) => boolean;
    readonly prefix: string;
    /** As for {@link treeOfVariables}. */
    readonly isSplit?: (path: readonly string[]) => boolean;
  },
  convert: (tree: MapTree, draft: Draft, naming: Naming) => void,
): Source {
  const { isFile, isProgram, prefix, isSplit } = kinds;
  return {
    ...about,
    matches: (document) => (document.kind === 'tree' ? isFile(document) : isProgram(document)),
    convert(documents, draft) {
      const trees = documents.map((document) =>
        document.kind === 'tree'
          ? { tree: document.tree, naming: {} }
          : treeOfVariables(document, { prefix, ...(isSplit === undefined ? {} : { isSplit }) }),
      );
      const { tree, naming } = joinTrees(trees, draft);
      convert(tree, draft, naming);
    },
  };
}
