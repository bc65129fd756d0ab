import type { RequestFinished, UpstreamRequestEnded } from '../events.ts';
import type { IngestEvent } from '../ingest-event.ts';
import { redactText, redactUrl } from '../redact.ts';
import type { Attributes, Span } from './span.ts';

/*
 * What spans say, by the semantic conventions for HTTP (opentelemetry.io/docs/specs/semconv/http), and under `entrepot.` where
 * those have no word. Events hold no query and no credential; texts pass through the same masks as the log's.
 */

type Described = Pick<Span, 'name' | 'attributes' | 'failure'>;

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS', 'CONNECT', 'TRACE']);

/** Requests of the registry API, by the end of their path (distribution-spec, Endpoints). */
const REGISTRY_ROUTES: readonly (readonly [RegExp, string])[] = [
  [/\/manifests\/([^/]+)$/, '/v2/{name}/manifests/{reference}'],
  [/\/blobs\/uploads(?:\/[^/]*)?$/, '/v2/{name}/blobs/uploads/{session}'],
  [/\/blobs\/([^/]+)$/, '/v2/{name}/blobs/{digest}'],
  [/\/referrers\/([^/]+)$/, '/v2/{name}/referrers/{digest}'],
  [/\/tags\/list$/, '/v2/{name}/tags/list'],
  [/\/_catalog$/, '/v2/_catalog'],
  [/\/v2\/?$/, '/v2/'],
];

/** @param reason why the cache chose its outcome, if it had a choice */
export function describeRequest(event: RequestFinished, reason: string | undefined): Described {
  const method = METHODS.has(event.method) ? event.method : '_OTHER';
  const { template, reference } = routeOf(event);
  const hasFailed = event.status >= 500 || event.status === 0 || event.error !== undefined;
  return {
    name: `${method === '_OTHER' ? 'HTTP' : method} ${template}`,
    failure: hasFailed ? redactText(event.error ?? '') : undefined,
    attributes: {
      'http.request.method': method,
      ...(method === '_OTHER' && { 'http.request.method_original': event.method }),
      'http.route': template,
      'http.response.status_code': event.status === 0 ? undefined : event.status,
      'http.response.body.size': event.bytes,
      'http.request.body.size': event.received === 0 ? undefined : event.received,
      'url.path': redactUrl(event.path),
      'client.address': event.client === '' ? undefined : event.client,
      'user_agent.original': event.userAgent === undefined ? undefined : redactText(event.userAgent),
      'error.type': hasFailed ? (event.status >= 500 ? String(event.status) : 'incomplete') : undefined,
      'entrepot.request.id': event.id,
      'entrepot.route': event.route,
      'entrepot.entrance': event.entrance,
      'entrepot.registry': event.registry,
      'entrepot.repository': event.repository,
      'entrepot.reference': reference,
      'entrepot.reference.kind': reference === undefined ? undefined : reference.includes(':') ? 'digest' : 'tag',
      'entrepot.upstream': event.upstream,
      'entrepot.cache': event.cache,
      'entrepot.cache.reason': reason === undefined ? undefined : redactText(reason),
    },
  };
}

function routeOf({ route, path }: RequestFinished): { readonly template: string; readonly reference?: string } {
  if (route !== 'registry') return { template: route };
  for (const [pattern, template] of REGISTRY_ROUTES) {
    const [found, last] = pattern.exec(path) ?? [];
    if (found !== undefined)
      return { template, ...(last === undefined ? {} : { reference: last.replace(/%3a/i, ':') }) };
  }
  return { template: route };
}

/** @param resends earlier attempts of the same request */
export function describeUpstreamRequest(event: UpstreamRequestEnded, resends: number): Described {
  const url = URL.parse(event.url);
  return {
    name: `${event.method} ${event.purpose}`,
    failure: event.error !== undefined || event.status >= 400 ? (event.error ?? '') : undefined,
    attributes: {
      'http.request.method': event.method,
      'http.request.resend_count': resends === 0 ? undefined : resends,
      'http.response.status_code': event.status === 0 ? undefined : event.status,
      'url.full': redactUrl(event.url),
      'server.address': url?.hostname,
      'server.port': url === null ? undefined : portOf(url),
      'error.type': event.error ?? (event.status >= 400 ? String(event.status) : undefined),
      'entrepot.registry': event.registry,
      'entrepot.upstream': event.upstream,
      'entrepot.upstream.purpose': event.purpose,
      'entrepot.upstream.blocked': event.blocked,
    },
  };
}

function portOf({ port, protocol }: URL): number {
  if (port !== '') return Number(port);
  return protocol === 'http:' ? 80 : 443;
}

export function describeTransfer(
  event: IngestEvent & { readonly bytes: number; readonly outcome: string; readonly reason?: string },
): Described {
  const hasFailed = event.outcome === 'failed';
  return {
    name: 'transfer',
    failure: hasFailed ? redactText(event.reason ?? '') : undefined,
    attributes: {
      'error.type': hasFailed ? 'transfer' : undefined,
      'entrepot.transfer.id': event.id,
      'entrepot.transfer.outcome': event.outcome,
      'entrepot.transfer.bytes': event.bytes,
      'entrepot.transfer.reason': event.reason === undefined ? undefined : redactText(event.reason),
      'entrepot.registry': event.registry,
      'entrepot.repository': redactUrl(event.repository),
      'entrepot.reference': event.digest,
      'entrepot.upstream': event.upstream,
    },
  };
}

/** Of the process. */
export function resourceOf(process: {
  readonly serviceName: string;
  readonly version: string;
  readonly instance: string;
  readonly host: string;
}): Attributes {
  return {
    'service.name': process.serviceName,
    'service.version': process.version,
    'service.instance.id': process.instance,
    'host.name': process.host,
  };
}
