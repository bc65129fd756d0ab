/**
 * The heads of HTTP/1.1 messages: requests written, responses parsed, both strictly (RFC 9112).
 *
 * Pure: it never touches a socket.
 */
export { authorityOf, exactRequestBytes, isSendableHost, isStreamed, requestBytes } from './request.ts';
export { type BodyShape, HeadReader, parseFieldLine, parseResponseHead, type ResponseHead } from './response.ts';
export { hrefOf, readReference, type WrittenUrl } from './written-url.ts';
