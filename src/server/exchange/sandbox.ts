/**
 * The policy of content that others wrote (CSP Level 3, section 6.3.3). A browser that shows it as a page gives that page an origin of its own,
 * so a script of it is no page of this server: it has no session here, and the API does not answer it.
 */
export const SANDBOX = 'sandbox allow-downloads allow-forms allow-modals allow-popups allow-scripts';

/** The policy of content that has one already: both hold. */
export function sandboxed(policy: string | undefined): string {
  return policy === undefined || policy === '' ? SANDBOX : `${policy}, ${SANDBOX}`;
}

/** Whether no browser shows content of a type as a page, whatever is in it. */
export function isInert(contentType: string): boolean {
  return /^application\/(?:octet-stream|(?:[a-z0-9.+-]*\+)?(?:json|prettyjws))$/.test(contentType);
}
