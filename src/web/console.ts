import { gunzipSync } from 'node:zlib';
import type { Asset } from '#console-assets';

/** What a browser gets of the console's page: everything but data, so every client may have it. */
export interface ConsoleReply {
  readonly status: number;
  /** Names in lower case. */
  readonly headers: Readonly<Record<string, string>>;
  /** Undefined: headers alone. */
  readonly body: Buffer | string | undefined;
}

export interface ConsoleRequest {
  /** `/ui` or below it, raw. */
  readonly path: string;
  readonly acceptEncoding: string | undefined;
  readonly ifNoneMatch: string | undefined;
}

/** The page loads itself from this server, asks its API, and does nothing else: no text that it shows can run or send anything. */
const POLICY = [
  "default-src 'none'",
  "script-src 'self'",
  "style-src 'self'",
  "img-src 'self' data:",
  "connect-src 'self'",
  "font-src 'none'",
  "base-uri 'none'",
  "form-action 'none'",
  "frame-ancestors 'none'",
].join('; ');

const COMMON = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-resource-policy': 'same-origin',
} as const;

const PAGE = 'index.html';

const NOT_BUILT =
  'The page of the console is not here. In a checkout, run: npm run build. After an upgrade, restart the server.\n';

/** Its files, loaded once the page is asked for. Rejects where a checkout has not built them, or an upgrade has replaced them. */
async function loadAssets(): Promise<ReadonlyMap<string, Asset>> {
  assets ??= new Map(Object.entries((await import('#console-assets')).ASSETS));
  return assets;
}

let assets: ReadonlyMap<string, Asset> | undefined;

/** Answers `GET /ui/…`: a file by its name, and the page for every other path, which names a view. Never rejects. */
export async function replyConsole(
  { path, acceptEncoding, ifNoneMatch }: ConsoleRequest,
  load: () => Promise<ReadonlyMap<string, Asset>> = loadAssets,
): Promise<ConsoleReply> {
  if (path === '/ui') return { status: 308, headers: { ...COMMON, location: '/ui/' }, body: undefined };
  const known = await load().catch(() => undefined);
  const name = path.slice('/ui/'.length);
  const file = known?.get(name);
  const asset = file ?? known?.get(PAGE);
  if (asset === undefined) {
    const headers = { ...COMMON, 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' };
    return { status: 503, headers, body: NOT_BUILT };
  }
  // A file of an older version of the page, which a tab that is still open asks for, is not the page.
  if (file === undefined && /^[\w-]+\.(?:js|css|svg)$/.test(name)) {
    const headers = { ...COMMON, 'content-type': 'text/plain; charset=utf-8', 'cache-control': 'no-store' };
    return { status: 404, headers, body: `There is no ${name} in this version. Reload the page.\n` };
  }
  const isPage = file === undefined || name === PAGE;
  const compressed = acceptsGzip(acceptEncoding);
  // The two forms of a file are two representations (RFC 9110 §8.8.3).
  const etag = `"${asset.hash}${compressed ? '-gzip' : ''}"`;
  const headers = {
    ...COMMON,
    etag,
    vary: 'accept-encoding',
    'cache-control': isPage ? 'no-cache' : 'public, max-age=31536000, immutable',
  };
  if (isPage && names(ifNoneMatch, etag)) return { status: 304, headers, body: undefined };
  const gzip = Buffer.from(asset.gzip, 'base64');
  return {
    status: 200,
    headers: {
      ...headers,
      'content-type': asset.contentType,
      ...(compressed ? { 'content-encoding': 'gzip' } : {}),
    },
    body: compressed ? gzip : gunzipSync(gzip),
  };
}

/** Characters that are read of a header which a browser keeps short. */
const MAX_LENGTH = 1024;

/** RFC 9110 §12.5.3; a weight of 0 refuses. */
function acceptsGzip(acceptEncoding = ''): boolean {
  return acceptEncoding
    .slice(0, MAX_LENGTH)
    .split(',')
    .some((coding) => /^\s*(?:x-)?gzip\s*(?:;\s*q=(?!0(?:\.0*)?\s*$).*)?$/i.test(coding));
}

/** Whether `If-None-Match` has the ETag, compared weakly. */
function names(ifNoneMatch = '', etag: string): boolean {
  return ifNoneMatch
    .slice(0, MAX_LENGTH)
    .split(',')
    .some((each) => each.trim().replace(/^W\//, '') === etag || each.trim() === '*');
}
