import type { PullThrough } from '../../cache/index.ts';
import type { Hosting, HostingRules } from '../../hosting/index.ts';
import { OciError, type RegistryPath } from '../../oci/index.ts';
import { type PassedGate, requireReading } from '../../server/index.ts';
import type { PathOf, RegistryRequest } from '../request.ts';
import type { PushedRows, Row } from '../row.ts';
import { answerHostedBlob, deleteHostedBlob } from './blobs.ts';
import { answerHostedCatalog, answerHostedReferrers, answerHostedTags } from './lists.ts';
import { answerHostedManifest, deleteManifest, pushManifest } from './manifests.ts';
import type { MountParts } from './mount.ts';
import { uploadRowOf } from './uploads.ts';

interface PushedRowsOptions extends Pick<MountParts, 'catalogue' | 'mirroredBlob'> {
  readonly hosting: Hosting;
  /** Called at each request, as a reload replaces them. */
  readonly rules: () => HostingRules;
  /** For the part of a catalogue that is an upstream's. */
  readonly cache: PullThrough;
  /** Those of repositories whose pushes go on to the upstream. @default they are mirrored */
  readonly through?: PushedRows | undefined;
}

/** The kinds of paths in a repository, but for uploads, which have a table of their own. */
type Kind = Exclude<RegistryPath['kind'], 'base' | 'catalog' | 'uploads'>;

/** A row whose answer is given what hosts. */
export interface HostedRow<Path extends RegistryPath> extends Pick<Row, 'action' | 'wanted' | 'scope'> {
  readonly answer: (request: RegistryRequest<Path>, hosting: Hosting, gate: PassedGate) => Promise<void> | void;
}

/** By method. */
type Rows<Path extends RegistryPath> = Readonly<Record<string, HostedRow<Path>>>;

const PULL = { action: 'pull', scope: 'pull' } as const;
const PUSH = { action: 'push', scope: 'pull,push' } as const;
const DELETE = { action: 'delete', scope: 'delete' } as const;

function reading<Path extends RegistryPath>(row: Pick<HostedRow<Path>, 'wanted' | 'answer'>): Rows<Path> {
  return { GET: { ...PULL, ...row }, HEAD: { ...PULL, ...row } };
}

/** All that can be done in a hosted repository (distribution-spec, "Endpoints"), on one screen. */
const ROWS: { readonly [K in Kind]: Rows<PathOf<K>> } = {
  manifest: {
    ...reading({ wanted: 'manifest', answer: answerHostedManifest }),
    PUT: { ...PUSH, wanted: 'manifest', answer: pushManifest },
    DELETE: { ...DELETE, wanted: 'manifest', answer: deleteManifest },
  },
  blob: {
    ...reading({ wanted: 'blob', answer: answerHostedBlob }),
    DELETE: { ...DELETE, wanted: 'blob', answer: deleteHostedBlob },
  },
  tags: reading({ wanted: 'list', answer: answerHostedTags }),
  referrers: reading({ wanted: 'list', answer: answerHostedReferrers }),
};

/** The rows of what can be pushed to. */
export function createPushedRows(options: PushedRowsOptions): PushedRows {
  const { hosting, rules, through, catalogue, mirroredBlob } = options;
  const rowsOf = compile(hosting);
  const catalog = catalogRow(options);
  const uploads: MountParts = {
    uploads: hosting.uploads,
    catalogue,
    mirroredBlob,
    homeOf: (repository) => rules().homeOf(repository),
  };
  return {
    rowOf(request) {
      const { path, repository, context } = request;
      if (path.kind === 'base') return undefined;
      if (path.kind === 'catalog') {
        const hasHosted = (rules().specOf(repository.registry)?.hosted.length ?? 0) > 0;
        if (!hasHosted) return undefined;
        requireReading(context);
        return catalog;
      }
      const home = rules().homeOf(repository);
      if (home === 'mirrored') return undefined;
      if (home === 'pushed through') return through?.rowOf(request);
      if (path.kind === 'uploads') {
        return guarded(uploadRowOf(request as RegistryRequest<PathOf<'uploads'>>, uploads), hosting);
      }
      const rows = rowsOf[path.kind];
      const row = rows[context.method];
      if (row === undefined) throw methodRefused(context.method, Object.keys(rows));
      if (context.isReading) requireReading(context);
      return row;
    },
  };
}

/** Binds the rows to what hosts. The compiler cannot see that a row belongs to the kind of its path. */
function compile(hosting: Hosting): Readonly<Record<Kind, Readonly<Record<string, Row>>>> {
  const bind = ({ answer, ...row }: HostedRow<RegistryPath>): Row =>
    guarded(
      {
        ...row,
        // What is hosted is private: a rule has to name it.
        isPublic: () => false,
        answer: (request, gate) => answer(request, hosting, gate),
      },
      hosting,
    );
  const compiled = Object.entries(ROWS as unknown as Record<Kind, Rows<RegistryPath>>).map(([kind, rows]) => [
    kind,
    Object.fromEntries(Object.entries(rows).map(([method, row]) => [method, bind(row)])),
  ]);
  return Object.fromEntries(compiled) as Record<Kind, Readonly<Record<string, Row>>>;
}

function catalogRow({ hosting, rules, cache }: PushedRowsOptions): Row {
  const row: Row = {
    action: 'catalog',
    wanted: 'list',
    answer: (request, gate) =>
      answerHostedCatalog(request as RegistryRequest<PathOf<'catalog'>>, gate, { hosting, rules, cache }),
  };
  return guarded(row, hosting);
}

/** A row whose answer is 503 where the disk fails. */
function guarded(row: Row, { disk }: Hosting): Row {
  return { ...row, answer: (request, gate) => disk.answer(() => row.answer(request, gate)) };
}

function methodRefused(method: string, allowed: readonly string[]): OciError {
  const allow = allowed.join(', ');
  // The connection may hold a body that is not read.
  return new OciError('UNSUPPORTED', `${method} is none of the methods of this path (${allow})`, {
    headers: { allow, connection: 'close' },
  });
}
