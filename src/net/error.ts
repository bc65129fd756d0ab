import { HttpError, type HttpErrorCode } from './http-types.ts';

/** Where in the life of an exchange something went wrong: the same `ECONNRESET` means different things. */
export type Phase = 'dial' | 'handshake' | 'head' | 'body';

const BY_CODE: ReadonlyMap<string, HttpErrorCode> = new Map(
  Object.entries({
    ECONNREFUSED: 'refused',
    EHOSTUNREACH: 'refused',
    ENETUNREACH: 'refused',
    EADDRNOTAVAIL: 'refused',
    EHOSTDOWN: 'refused',
    ENETDOWN: 'refused',
    ENOTFOUND: 'dns',
    EAI_AGAIN: 'dns',
    EAI_FAIL: 'dns',
    EAI_NODATA: 'dns',
    ETIMEDOUT: 'timeout',
    ERR_SOCKET_CONNECTION_TIMEOUT: 'timeout',
    ABORT_ERR: 'aborted',
  } as const),
);

/** Codes of OpenSSL and of the checks on certificates, by how they begin. */
const TLS_CODE =
  /^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|EPROTO$|HOSTNAME_MISMATCH$|INVALID_)/;

/** The connection was cut, as seen by a read or by a write. */
const CUT = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED']);

/** What the code of a system or TLS error means in a phase. */
export function codeOf(error: unknown, phase: Phase): HttpErrorCode {
  const code = errorCode(error) ?? '';
  const known = BY_CODE.get(code);
  // A network that went away within a body broke it off, whatever it says: what came before is good.
  if (known !== undefined) return phase === 'body' && known !== 'aborted' ? 'truncated' : known;
  if (TLS_CODE.test(code)) return 'tls';
  // An alert or a failed check while shaking hands; a connection that broke then has a code of its own.
  if (phase === 'handshake' && !CUT.has(code)) return 'tls';
  return phase === 'body' ? 'truncated' : 'reset';
}

/** The error of an exchange with `authority` (host and port); an HttpError passes as it is. */
export function httpErrorOf(error: unknown, about: { readonly authority: string; readonly phase: Phase }): HttpError {
  if (error instanceof HttpError) return error;
  const code = codeOf(error, about.phase);
  return new HttpError(code, `${about.authority} ${SENTENCES[code]} (${reasonOf(error)})`, { cause: error });
}

const SENTENCES: Readonly<Record<HttpErrorCode, string>> = {
  refused: 'cannot be reached',
  dns: 'does not resolve',
  timeout: 'did not answer in time',
  idle: 'stopped sending',
  reset: 'closed the connection before it answered',
  truncated: 'closed the connection before the body was complete',
  tls: 'offers no TLS connection that can be trusted',
  protocol: 'sent what is not HTTP/1.1',
  'too-large': 'sent more than was asked for',
  forbidden: 'must not be dialled',
  aborted: 'was asked, and the request was given up',
};

/** The exchange that was given up, by the caller's signal or because the client closes. */
export function abortedError(authority: string, cause?: unknown): HttpError {
  return new HttpError('aborted', `The request to ${authority} was given up`, { cause });
}

/** What was asked of a client after, or while, it was closed. */
export function closedError(authority: string): HttpError {
  return abortedError(authority, new Error('the client is closed'));
}

/** What Node tells its own users to try: here it is `transport.ca_file`, and nobody can give the server that flag. */
const NODE_ADVICE = /; if the root CA is installed locally, .*$/s;

function reasonOf(error: unknown): string {
  const code = errorCode(error);
  const message =
    error instanceof Error ? (opensslReason(error) ?? error.message.replace(NODE_ADVICE, '')) : String(error);
  return code === undefined || message.includes(code) ? message : `${code}: ${message}`;
}

/** `wrong version number`: the message around it holds addresses in memory, a line of OpenSSL's source and a line break. */
function opensslReason(error: Error): string | undefined {
  if (!/^[0-9A-F]+:error:/.test(error.message)) return undefined;
  return 'reason' in error && typeof error.reason === 'string' ? error.reason : undefined;
}

function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
