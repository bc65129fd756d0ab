import { HttpError, type HttpErrorCode } from './http-types.ts';

/** The phase of an exchange in which an error occurred: it gives `ECONNRESET` its meaning. */
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

/** How the codes of OpenSSL and of certificate checks begin. */
const TLS_CODE =
  /^(ERR_TLS|ERR_SSL|ERR_OSSL|CERT_|CRL_|UNABLE_TO_|DEPTH_ZERO_|SELF_SIGNED_|EPROTO$|HOSTNAME_MISMATCH$|INVALID_)/;

/** Codes of a cut connection, from a read or from a write. */
const CUT = new Set(['ECONNRESET', 'EPIPE', 'ECONNABORTED']);

/** The meaning of a system's or TLS' error code in a phase. */
export function codeOf(error: unknown, phase: Phase): HttpErrorCode {
  const code = errorCode(error) ?? '';
  const known = BY_CODE.get(code);
  // Any network error during a body truncates it: the bytes received before are valid.
  if (known !== undefined) return phase === 'body' && known !== 'aborted' ? 'truncated' : known;
  if (TLS_CODE.test(code)) return 'tls';
  // During a handshake: an alert or a failed check, unless the connection was cut.
  if (phase === 'handshake' && !CUT.has(code)) return 'tls';
  return phase === 'body' ? 'truncated' : 'reset';
}

/** The error of an exchange with `authority` (host and port); an HttpError passes as it is. */
export function httpErrorOf(error: unknown, about: { readonly authority: string; readonly phase: Phase }): HttpError {
  if (error instanceof HttpError) return error;
  const code = codeOf(error, about.phase);
  if (errorCode(error)?.endsWith('ALERT_NO_APPLICATION_PROTOCOL') === true) {
    const message = `${about.authority} speaks HTTP/2 alone, and this server speaks HTTP/1.1 (${reasonOf(error)})`;
    return new HttpError(code, message, { cause: error });
  }
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
  protocol: 'sent invalid HTTP/1.1',
  'too-large': 'sent more than was asked for',
  forbidden: 'must not be dialled',
  aborted: 'did not get to answer: the request was aborted',
};

/** The error of a message that is not valid HTTP/1.1. */
export function protocolError(what: string): HttpError {
  return new HttpError('protocol', what);
}

/** The error of an exchange aborted by the caller's signal or by the client's close. */
export function abortedError(authority: string, cause?: unknown): HttpError {
  return new HttpError('aborted', `The request to ${authority} was given up`, { cause });
}

/** The error of a request made after, or during, the client's close. */
export function closedError(authority: string): HttpError {
  return abortedError(authority, new Error('the client is closed'));
}

/** Node's advice to use one of its flags. The server's own option is `transport.ca_file`, and it takes no flags of Node. */
const NODE_ADVICE = /; if the root CA is installed locally, .*$/s;

function reasonOf(error: unknown): string {
  const code = errorCode(error);
  const message =
    error instanceof Error ? (opensslReason(error) ?? error.message.replace(NODE_ADVICE, '')) : String(error);
  return code === undefined || message.includes(code) ? message : `${code}: ${message}`;
}

/** `wrong version number`: the rest of OpenSSL's message is a memory address, a source line and a line break. */
function opensslReason(error: Error): string | undefined {
  if (!/^[0-9A-F]+:error:/.test(error.message)) return undefined;
  return 'reason' in error && typeof error.reason === 'string' ? error.reason : undefined;
}

function errorCode(error: unknown): string | undefined {
  if (!(error instanceof Error) || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
