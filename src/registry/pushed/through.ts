import type { PullThrough } from '../../cache/index.ts';
import { type ErrorCode, OciError } from '../../oci/index.ts';
import { requireReading } from '../../server/index.ts';
import type { Wanted } from '../failure.ts';
import { isPublic } from '../is-public.ts';
import type { PathOf, ReadKind, RegistryRequest } from '../request.ts';
import type { PushedRows, Row } from '../row.ts';
import { PassingUploads } from './passing-uploads.ts';
import { toPushError } from './push-failure.ts';
import { deleteBlob, deleteManifest, putManifest } from './through-content.ts';
import { headBlob, headManifest } from './through-heads.ts';
import type { Through, ThroughOptions, ThroughRequest, Uploads } from './through-request.ts';
import { appendUpload, cancelUpload, finishUpload, startUpload, uploadStatus } from './through-uploads.ts';
import { UploadStates } from './upload-states.ts';

/** The uploads of a process, which has one cache: a reload makes other rows, and ends no upload. */
const UPLOADS = new WeakMap<PullThrough, Uploads>();

type Answer<Kind extends RegistryRequest['path']['kind']> = (
  asked: ThroughRequest<Kind>,
  through: Through,
) => Promise<void>;

interface ThroughRow<Kind extends RegistryRequest['path']['kind']> extends Pick<Row, 'action' | 'wanted' | 'scope'> {
  /** The code of a 404 for which the upstream gives none. */
  readonly unknown: ErrorCode;
  readonly answer: Answer<Kind>;
}

type Rows<Kind extends RegistryRequest['path']['kind']> = Readonly<Record<string, ThroughRow<Kind>>>;

type AnyRow = Omit<ThroughRow<'uploads'>, 'answer'> & {
  readonly answer: (asked: ThroughRequest<RegistryRequest['path']['kind']>, through: Through) => Promise<void>;
};

const PUSH = { action: 'push', wanted: 'blob', scope: 'pull,push', unknown: 'BLOB_UPLOAD_UNKNOWN' } as const;
const DELETE = { action: 'delete', scope: 'delete' } as const;

const START: Rows<'uploads'> = { POST: { ...PUSH, unknown: 'NAME_UNKNOWN', answer: startUpload } };

const UPLOAD: Rows<'uploads'> = {
  PATCH: { ...PUSH, answer: appendUpload },
  PUT: { ...PUSH, answer: finishUpload },
  GET: { ...PUSH, answer: uploadStatus },
  HEAD: { ...PUSH, answer: uploadStatus },
  DELETE: { ...PUSH, answer: cancelUpload },
};

/** GET is answered as for every mirrored repository. A HEAD asks the upstream for those who may push. */
const MANIFEST: Rows<'manifest'> = {
  PUT: { ...PUSH, wanted: 'manifest', unknown: 'NAME_UNKNOWN', answer: putManifest },
  DELETE: { ...DELETE, wanted: 'manifest', unknown: 'MANIFEST_UNKNOWN', answer: deleteManifest },
  HEAD: { action: 'pull', wanted: 'manifest', unknown: 'MANIFEST_UNKNOWN', answer: headManifest },
};

const BLOB: Rows<'blob'> = {
  DELETE: { ...DELETE, wanted: 'blob', unknown: 'BLOB_UNKNOWN', answer: deleteBlob },
  HEAD: { action: 'pull', wanted: 'blob', unknown: 'BLOB_UNKNOWN', answer: headBlob },
};

/**
 * The requests for repositories whose pushes go on to the first upstream of their registry. What passes is kept, so the first pull of
 * it is a hit.
 *
 * Nothing of a push is answered before the upstream has: a client never hears of success where the upstream has failed.
 */
export function createThroughRows({ pushOriginFor, key, ...options }: ThroughOptions): PushedRows {
  const uploads = UPLOADS.get(options.cache) ?? { states: new UploadStates({ key }), passing: new PassingUploads() };
  UPLOADS.set(options.cache, uploads);
  const through: Through = { ...options, ...uploads };
  return {
    rowOf(request) {
      const { context, path, name } = request;
      const rows = rowsOf(path);
      if (rows === undefined || (context.method === 'GET' && path.kind !== 'uploads')) return undefined;
      const row = rows[context.method];
      if (row === undefined) throw methodRefused(context.method, path.kind, Object.keys(rows));
      if (context.isReading) requireReading(context);
      const { action, wanted, scope, unknown, answer } = row;
      return {
        action,
        wanted: wanted satisfies Wanted,
        ...(scope === undefined ? {} : { scope }),
        isPublic:
          action === 'pull'
            ? (asked) => isPublic(asked as RegistryRequest<PathOf<ReadKind>>, options.cache)
            : undefined,
        answer: async (asked, gate) => {
          try {
            const origin = await pushOriginFor(name.registry, context.via)();
            context.upstream = origin.upstream;
            await answer({ request: asked, gate, origin }, through);
          } catch (error) {
            context.signal.throwIfAborted();
            throw toPushError(error, unknown);
          }
        },
      };
    },
  };
}

/** The rows of a path, by method. The compiler cannot see that they belong to the kind of the path. */
function rowsOf(path: RegistryRequest['path']): Readonly<Record<string, AnyRow>> | undefined {
  const rows =
    path.kind === 'uploads'
      ? path.session === ''
        ? START
        : UPLOAD
      : path.kind === 'manifest'
        ? MANIFEST
        : path.kind === 'blob'
          ? BLOB
          : undefined;
  return rows as Readonly<Record<string, AnyRow>> | undefined;
}

function methodRefused(method: string, kind: RegistryRequest['path']['kind'], methods: readonly string[]): OciError {
  const allow = [...(kind === 'uploads' ? [] : ['GET']), ...methods].join(', ');
  // The connection may hold a body that is not read.
  return new OciError('UNSUPPORTED', `${method} is not supported here; ${allow} are`, {
    headers: { allow, connection: 'close' },
  });
}
