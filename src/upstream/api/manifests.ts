import { inTurns } from '../../lib/index.ts';
import type { HttpReply } from '../../net/index.ts';
import {
  digestAlgorithm,
  formatReference,
  isGenericType,
  MANIFEST_ACCEPT,
  MAX_MANIFEST_BYTES,
  type OriginManifest,
  type OriginManifestHead,
  parseDigest,
  type Reference,
} from '../../oci/index.ts';
import type { Upstream } from '../upstream.ts';
import { scopeOf, type UpstreamRequest, type UpstreamResponse } from '../upstream-request.ts';
import { bareMediaType, beginsAsJson, isIdentity, manifestDigest, manifestMediaType } from './manifest-answer.ts';

export interface ManifestAsked extends Pick<UpstreamRequest, 'via' | 'signal'> {
  readonly repository: string;
  readonly reference: Reference;
  /** A push follows: asked with the token for it, as a repository that is not there yet may need one. @default false */
  readonly isForPush?: boolean;
}

/**
 * What a reference points to, by HEAD, which no registry counts as a pull. Where HEAD is or was refused, or is incomplete, the
 * manifest itself is fetched.
 */
export async function headManifest(upstream: Upstream, asked: ManifestAsked): Promise<OriginManifestHead> {
  const { heads } = upstream;
  const byGet = (): Promise<OriginManifestHead> => heads.askByGet('check', () => getManifest(upstream, asked));
  if (heads.isRefused('check')) return byGet();
  const request = questionFor('HEAD', asked);
  const answer = await upstream.fetch(request, 0);
  if (heads.mayRefuse('check', answer)) return byGet();
  if (answer.reply.status !== 200) throw await upstream.failure(request, answer);
  heads.works('check');
  return readHead(upstream, request, { asked, answer }) ?? (await getManifest(upstream, asked));
}

/**
 * Learns whether the upstream answers HEAD, by one for a manifest that it probably has; no request where that is known. After
 * it a missing manifest needs no GET to confirm it, which most registries would count as a pull.
 *
 * @throws {UpstreamError} where no answer came
 */
export async function learnHead(upstream: Upstream, asked: ManifestAsked): Promise<void> {
  if (upstream.heads.isKnown('check')) return;
  const { reply } = await upstream.fetch(questionFor('HEAD', asked), 0);
  if (reply.status === 200) upstream.heads.works('check');
}

/**
 * The manifest's bytes.
 *
 * @throws {UpstreamError} `invalid` where they are too large, encoded, no manifest, or of another digest
 */
export async function getManifest(upstream: Upstream, asked: ManifestAsked): Promise<OriginManifest> {
  const request = questionFor('GET', asked);
  const answer = await upstream.fetch(request, MAX_MANIFEST_BYTES);
  const { status, headers, body: bytes } = answer.reply;
  if (status !== 200) throw await upstream.failure(request, answer);
  const encoding = headers['content-encoding'];
  // The bytes decide, not the label: servers have been seen to put one on what they send as it is.
  if (!isIdentity(encoding) && !beginsAsJson(bytes)) throw upstream.invalid(request, `it came encoded, as ${encoding}`);
  const mediaType = await inTurns(manifestMediaType(headers['content-type'], bytes));
  if (mediaType === undefined) throw upstream.invalid(request, 'the answer is not a manifest');
  const digest = manifestDigest(bytes, asked.reference);
  if (digest === undefined) throw upstream.invalid(request, 'the bytes that came have another digest');
  return { bytes, digest, mediaType, size: bytes.length, upstream: upstream.name, visibility: answer.visibility };
}

/** Reads a HEAD; undefined where it is incomplete. */
function readHead(
  upstream: Upstream,
  request: UpstreamRequest,
  found: { asked: ManifestAsked; answer: UpstreamResponse<HttpReply> },
): OriginManifestHead | undefined {
  const { asked, answer } = found;
  const { headers } = answer.reply;
  const said = parseDigest(headers['docker-content-digest'] ?? '');
  const mediaType = bareMediaType(headers['content-type']);
  const size = parseLength(headers['content-length']);
  const { reference } = asked;
  const wanted = reference.kind === 'digest' ? reference.digest : said;
  if (wanted === undefined || size === undefined || isGenericType(mediaType) || mediaType === 'text/html') {
    return undefined;
  }
  if (!isIdentity(headers['content-encoding'])) return undefined;
  if (size > MAX_MANIFEST_BYTES) throw upstream.invalid(request, `the manifest would have ${size} bytes`);
  if (said !== undefined && digestAlgorithm(wanted) === digestAlgorithm(said) && wanted !== said) {
    throw upstream.invalid(request, 'its Docker-Content-Digest is another');
  }
  return { digest: wanted, mediaType, size, upstream: upstream.name, visibility: answer.visibility };
}

/** No manifest is empty: a HEAD that says 0 does not know the length. */
function parseLength(header: string | undefined): number | undefined {
  const length = header !== undefined && /^\d{1,15}$/.test(header) ? Number(header) : 0;
  return length === 0 ? undefined : length;
}

function questionFor(method: 'GET' | 'HEAD', asked: ManifestAsked): UpstreamRequest {
  return {
    method,
    path: `/v2/${asked.repository}/manifests/${formatReference(asked.reference)}`,
    ...scopeOf(asked),
    headers: { accept: MANIFEST_ACCEPT },
    kind: method === 'GET' ? 'pull' : 'check',
    via: asked.via,
    signal: asked.signal,
  };
}
