import type { UrlAnswer, UrlKey, UrlRequest } from './url-request.ts';

/** Answers by URL: from the store, from a transfer that runs, or from the upstream. */
export class UrlCache {
  /** Rejects with what `request.open` rejects with. */
  async answer(_key: UrlKey, request: UrlRequest): Promise<UrlAnswer> {
    const { method, open, signal, range, ifRange, ifNoneMatch, ifModifiedSince } = request;
    const headers = {
      ...(range === undefined ? {} : { range }),
      ...(ifRange === undefined ? {} : { 'if-range': ifRange }),
      ...(ifNoneMatch === undefined ? {} : { 'if-none-match': ifNoneMatch }),
      ...(ifModifiedSince === undefined ? {} : { 'if-modified-since': ifModifiedSince }),
    };
    return { kind: 'through', response: await open({ method, headers, signal }) };
  }
}
