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

/** How the codes of alerts that the server sent begin, in OpenSSL's several spellings. */
const ALERT = /^ERR_SSL_(?:SSLV3_ALERT|TLSV13_ALERT|TLSV1_(?:ALERT|UNRECOGNIZED|CERTIFICATE|BAD|UNSUPPORTED))_/;

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
  if (phase === 'handshake') return CUT.has(code) ? 'tls-reset' : 'tls';
  return phase === 'body' ? 'truncated' : 'reset';
}

interface About {
  /** Host and port. */
  readonly authority: string;
  readonly phase: Phase;
  /** What the operator can do about a connection that is reset in this phase. */
  readonly remedy?: string | undefined;
}

/** The error of an exchange with a host; an HttpError passes as it is. */
export function httpErrorOf(error: unknown, { authority, phase, remedy }: About): HttpError {
  if (error instanceof HttpError) return error;
  const code = codeOf(error, phase);
  const tlsCode = errorCode(error) ?? '';
  if (tlsCode.endsWith('ALERT_NO_APPLICATION_PROTOCOL')) {
    return http2Error(code, `${authority} ${HTTP2_ALONE} (${reasonOf(error)})`, error);
  }
  const sentence = code === 'tls' && ALERT.test(tlsCode) ? 'refuses the TLS handshake' : SENTENCES[code];
  return new HttpError(code, `${authority} ${sentence} (${reasonOf(error)})`, {
    cause: error,
    ...(code === 'tls-reset' ? { remedy } : {}),
  });
}

const HTTP2_ALONE = 'speaks HTTP/2 alone, and this server speaks HTTP/1.1';
const HTTP2_REMEDY =
  'Let the upstream accept HTTP/1.1 as well, name another port of it, or put a reverse proxy that speaks both in front of it.';

function http2Error(code: HttpErrorCode, message: string, cause?: unknown): HttpError {
  return new HttpError(code, message, { cause, remedy: HTTP2_REMEDY });
}

/** The error of a server that answers in HTTP/2. */
export function http2Answer(): HttpError {
  return http2Error('protocol', `it ${HTTP2_ALONE}`);
}

/** The error of a server that chose an application protocol which was not offered (RFC 7301 §3.2 forbids it). */
export function wrongProtocol(authority: string, chosen: string): HttpError {
  if (chosen === 'h2') return http2Error('protocol', `${authority} ${HTTP2_ALONE} (it chose h2 in the TLS handshake)`);
  return new HttpError('protocol', `${authority} chose ${chosen} where only http/1.1 was offered`);
}

const SENTENCES: Readonly<Record<HttpErrorCode, string>> = {
  refused: 'cannot be reached',
  dns: 'does not resolve',
  timeout: 'did not answer in time',
  idle: 'stopped sending',
  'tls-reset':
    'cannot be reached: the connection was reset during the TLS handshake, as firewalls do that block a host name',
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
