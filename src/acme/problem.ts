/** A refusal of the ACME server, or an answer of it that cannot be used. The message is for the operator. */
export class AcmeError extends Error {
  override readonly name = 'AcmeError';
  /** The last part of the problem's type (RFC 8555 §6.7): `rateLimited`, `badNonce`; undefined where the server named none. */
  readonly type: string | undefined;
  /** Milliseconds the server asks to wait before the next request. */
  readonly retryAfter: number | undefined;

  constructor(message: string, { type, retryAfter }: { readonly type?: string; readonly retryAfter?: number } = {}) {
    super(message);
    this.type = type;
    this.retryAfter = retryAfter;
  }
}

const ERROR_TYPE = /^urn:ietf:params:acme:error:([A-Za-z0-9]{1,64})$/;
/** Characters of a detail that are quoted: it is logged, stored and shown. */
const MAX_DETAIL = 500;
/** Problems of single domains that are quoted. */
const MAX_SUBPROBLEMS = 5;

/** A problem document (RFC 7807), or undefined where the value is none. */
export function readProblem(value: unknown): { readonly type: string | undefined; readonly text: string } | undefined {
  if (!isRecord(value)) return undefined;
  const type = typeof value['type'] === 'string' ? ERROR_TYPE.exec(value['type'])?.[1] : undefined;
  const inner = Array.isArray(value['subproblems']) ? value['subproblems'].slice(0, MAX_SUBPROBLEMS) : [];
  const parts = [value, ...inner].flatMap((each) =>
    isRecord(each) && typeof each['detail'] === 'string' ? [printable(each['detail'])] : [],
  );
  if (type === undefined && parts.length === 0) return undefined;
  const text = parts.length === 0 ? 'it gives no reason' : parts.join('; ').slice(0, MAX_DETAIL);
  return { type, text: type === undefined ? text : `${text} (${type})` };
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

/** Control characters would rewrite the terminal of an operator. */
function printable(text: string): string {
  return text
    .slice(0, MAX_DETAIL)
    .replace(/[\p{Cc}\p{Cf}\p{Zl}\p{Zp}]+/gu, ' ')
    .trim();
}
