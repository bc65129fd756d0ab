import { atOnce } from '../lib/index.ts';
import {
  isIndexType,
  MANIFEST_ACCEPT,
  MAX_MANIFEST_BYTES,
  type Manifest,
  OciError,
  type Platform,
  parseManifest,
  pickPlatform,
} from '../oci/index.ts';
import { blockOf, probeUpstream, type UpstreamContext, UpstreamError } from '../upstream/index.ts';
import { plain } from './certificate.ts';
import { isTimeout } from './connection.ts';
import { type CheckTarget, tenths } from './report.ts';
import { contextOf, inSession, type SessionOptions } from './session.ts';

/** The image to look for, by its name at the registry. */
export interface ImageQuestion {
  readonly repository: string;
  /** A tag or a digest. */
  readonly reference: string;
  /** Whose manifest and layer are tried, where the image is an index. */
  readonly platform: Platform;
}

/** One step of a pull from one upstream. */
export interface ImageStep {
  readonly step: 'manifest' | 'platform' | 'blob';
  /** `missing`: the upstream does not have it. `denied`: it does not say whether it has it. `failed`: it did not answer rightly. */
  readonly outcome: 'ok' | 'missing' | 'denied' | 'failed';
  readonly durationMs: number;
  /** 0 where no answer came. */
  readonly status: number;
  readonly summary: string;
  readonly remedy?: string | undefined;
}

/**
 * Pulls from one upstream as far as to know that a pull would succeed: the manifest, that of the platform, and the first
 * byte of a layer. Where a step is not `ok`, it is the last one. Unlike the checks of upstreams, it counts as one pull.
 */
export async function checkImage(
  target: CheckTarget,
  image: ImageQuestion,
  options: SessionOptions,
): Promise<readonly ImageStep[]> {
  return await inSession(options, (session) =>
    new ImageCheck(target, { image, context: contextOf(session), signal: session.signal }).run(),
  );
}

interface Fetched {
  readonly step: ImageStep;
  /** Where the step is `ok`. */
  readonly manifest: Manifest | undefined;
  readonly isIndex: boolean;
}

interface ImageCheckParts {
  readonly image: ImageQuestion;
  readonly context: UpstreamContext;
  readonly signal: AbortSignal;
}

class ImageCheck {
  readonly #target: CheckTarget;
  readonly #parts: ImageCheckParts;

  constructor(target: CheckTarget, parts: ImageCheckParts) {
    this.#target = target;
    this.#parts = parts;
  }

  async run(): Promise<readonly ImageStep[]> {
    const { platform, reference } = this.#parts.image;
    const top = await this.#manifest('manifest', reference);
    if (top.manifest === undefined) return [top.step];
    if (!top.isIndex) return [top.step, ...(await this.#blobOf(top.manifest))];
    const child = pickPlatform(top.manifest, platform);
    if (child === undefined) return [top.step, this.#noPlatform(top.manifest)];
    const own = await this.#manifest('platform', child.digest);
    return [top.step, own.step, ...(own.manifest === undefined ? [] : await this.#blobOf(own.manifest))];
  }

  async #manifest(step: 'manifest' | 'platform', reference: string): Promise<Fetched> {
    const startedAt = performance.now();
    const asked = { path: `manifests/${reference}`, kind: 'pull', accept: MANIFEST_ACCEPT } as const;
    const answer = await this.#ask(asked, MAX_MANIFEST_BYTES);
    const durationMs = tenths(performance.now() - startedAt);
    if ('outcome' in answer) {
      return { step: { step, durationMs, ...answer }, manifest: undefined, isIndex: false };
    }
    const { status, headers, body } = answer;
    const mediaType = headers['content-type'] ?? '';
    try {
      const manifest = atOnce(parseManifest(body, mediaType));
      const isIndex = manifest.manifests.length > 0 || isIndexType(mediaType);
      const count = manifest.manifests.length;
      const what = isIndex ? `an index of ${count} manifest${count === 1 ? '' : 's'}` : 'a manifest';
      const summary = `GET ${asked.path}: status ${status}, ${what} of ${body.length} bytes`;
      return { step: { step, outcome: 'ok', durationMs, status, summary }, manifest, isIndex };
    } catch (error) {
      if (!(error instanceof OciError)) throw error;
      const summary = `GET ${asked.path}: status ${status}, but ${plain(error.message)}`;
      const failed = { step, outcome: 'failed', durationMs, status, summary, remedy: NO_MANIFEST } as const;
      return { step: failed, manifest: undefined, isIndex: false };
    }
  }

  /** The first byte of the first layer, or of the config of an image without layers. */
  async #blobOf({ blobs }: Manifest): Promise<readonly ImageStep[]> {
    const blob = blobs[1] ?? blobs[0];
    if (blob === undefined) return [];
    const startedAt = performance.now();
    const answer = await this.#ask({ path: `blobs/${blob.digest}`, kind: 'blob', range: 'bytes=0-0' });
    const common = { step: 'blob' as const, durationMs: tenths(performance.now() - startedAt) };
    if ('outcome' in answer) return [{ ...common, ...answer, remedy: answer.remedy ?? NO_BLOB }];
    const { status, url } = answer;
    const host = url.host === new URL(this.#target.spec.url).host ? '' : `, from ${plain(url.host)}`;
    const summary = `GET ${`blobs/${blob.digest}`.slice(0, 25)}: status ${status}${host}`;
    return [{ ...common, outcome: 'ok', status, summary }];
  }

  #noPlatform({ manifests }: Manifest): ImageStep {
    const { platform } = this.#parts.image;
    const has = manifests.slice(0, 20).flatMap((each) => (each.platform === undefined ? [] : [nameOf(each.platform)]));
    return {
      step: 'platform',
      outcome: 'missing',
      durationMs: 0,
      status: 200,
      summary: `the index has no image for ${nameOf(platform)}; it has ${plain(has.join(', ')) || 'none with a platform'}`,
      remedy: 'Pull it on a machine of one of these platforms, or name one to the client (--platform).',
    };
  }

  /** The answer where its status is below 300, else why it is none. */
  async #ask(
    asked: {
      readonly path: string;
      readonly kind: 'pull' | 'blob';
      readonly accept?: string;
      readonly range?: string;
    },
    maxBytes?: number,
  ): Promise<Awaited<ReturnType<typeof probeUpstream>> | Omit<ImageStep, 'step' | 'durationMs'>> {
    const { image, context, signal } = this.#parts;
    const { name: registry, spec } = this.#target;
    const { path, kind, accept, range } = asked;
    const { repositoryPrefix: prefix } = spec;
    const repository = prefix === undefined ? image.repository : `${prefix}/${image.repository}`;
    try {
      const answer = await probeUpstream(
        { registry, spec, context },
        {
          method: 'GET',
          path: `/v2/${repository}/${path}`,
          scope: `repository:${repository}:pull`,
          kind,
          headers: { ...(accept === undefined ? {} : { accept }), ...(range === undefined ? {} : { range }) },
          signal,
          ...(maxBytes === undefined ? {} : { maxBytes }),
        },
      );
      return answer.status < 300 ? answer : explainAnswer(answer, { path, host: spec.name });
    } catch (error) {
      if (signal.aborted && isTimeout(signal.reason)) {
        const summary = `GET ${path}: ${spec.name} did not finish within the time of the check`;
        return { outcome: 'failed', status: 0, summary, remedy: 'Give it more time with --timeout.' };
      }
      signal.throwIfAborted();
      if (!(error instanceof UpstreamError)) throw error;
      const { status = 0, message } = error;
      const outcome = error.kind === 'denied' ? 'denied' : error.kind === 'not-found' ? 'missing' : 'failed';
      return { outcome, status, summary: `GET ${path}: ${message}`, remedy: remedyOf(outcome) };
    }
  }
}

function explainAnswer(
  { status, headers }: Pick<Awaited<ReturnType<typeof probeUpstream>>, 'status' | 'headers'>,
  { path, host }: { readonly path: string; readonly host: string },
): Omit<ImageStep, 'step' | 'durationMs'> {
  const block = blockOf({ status, headers });
  if (block !== undefined) {
    const summary = `GET ${path}: status ${status}, blocked by ${block.by}`;
    return { outcome: 'failed', status, summary, remedy: block.remedy };
  }
  const summary = `GET ${path}: ${host} answered ${status}`;
  const outcome = status === 404 ? 'missing' : status === 401 || status === 403 ? 'denied' : 'failed';
  return { outcome, status, summary, remedy: status === 429 ? THROTTLED : remedyOf(outcome) };
}

function remedyOf(outcome: 'missing' | 'denied' | 'failed'): string {
  switch (outcome) {
    case 'missing':
      return 'Check the name and the tag: the upstream does not have it.';
    case 'denied':
      return 'The image is private or does not exist: check the name, and set credentials of this upstream that may read it.';
    case 'failed':
      return 'See the message; `entrepot check` tries the connection to this upstream step by step.';
  }
}

const THROTTLED = 'It throttles: wait, or set credentials of this upstream; a list of them is used in turn.';
const NO_MANIFEST = 'Something else than a registry answers there: check the url, and what stands between.';
const NO_BLOB =
  'Layers may come from another host than manifests: see that firewall, transport.dns and outbound proxy admit that host, ' +
  'and list it under transport.allow_private if it is inside your network.';

function nameOf({ os, architecture, variant }: Platform): string {
  return `${os}/${architecture}${variant === undefined ? '' : `/${variant}`}`;
}
