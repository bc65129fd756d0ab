import type { IncomingMessage } from 'node:http';

/** Which of the three hosts was asked: the registry, its token service, or where it redirects to. */
export type HostRole = 'registry' | 'token' | 'cdn';

export type RequestKind = 'ping' | 'manifest' | 'blob' | 'tags' | 'catalog' | 'referrers' | 'token' | 'other';

/** One request, written down when its headers came; `status` and `bytes` follow when it is answered. */
export interface RecordedRequest {
  readonly at: HostRole;
  readonly kind: RequestKind;
  readonly method: string;
  /** With the query. */
  readonly url: string;
  readonly repository: string | undefined;
  /** Tag or digest. */
  readonly reference: string | undefined;
  readonly range: string | undefined;
  readonly headers: IncomingMessage['headers'];
  /** 0 until answered, and where the connection was cut instead. */
  status: number;
  /** Body bytes written. */
  bytes: number;
  /** `running`, then how it ended; `left`: the other side went away first; `cut`: a fault ended it. */
  end: 'running' | 'complete' | 'left' | 'cut';
}

/** Which requests to count; what is absent matches everything. */
export type RequestFilter = Partial<
  Pick<RecordedRequest, 'at' | 'kind' | 'method' | 'repository' | 'reference' | 'status' | 'range'>
>;

/** Everything the scripted hosts were asked, in order of arrival. */
export class Journal {
  readonly requests: RecordedRequest[] = [];

  matching(filter: RequestFilter): RecordedRequest[] {
    const wanted = Object.entries(filter) as [keyof RequestFilter, unknown][];
    return this.requests.filter((request) => wanted.every(([key, value]) => request[key] === value));
  }

  /** GETs of blobs that were answered with a body: how often content left the house, redirects not counted. */
  blobBodies(digest?: string): RecordedRequest[] {
    const gets = this.matching({ kind: 'blob', method: 'GET', ...(digest === undefined ? {} : { reference: digest }) });
    return gets.filter((request) => request.status === 200 || request.status === 206);
  }

  /** Lines for people: what was asked and how it ended. */
  toString(): string {
    return this.requests
      .map((each) => `${each.at} ${each.method} ${each.url} → ${each.status} ${each.bytes} bytes, ${each.end}`)
      .join('\n');
  }
}
