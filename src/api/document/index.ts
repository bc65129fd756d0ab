/**
 * The OpenAPI document of the API, made of the definitions of its operations.
 *
 * It never describes what no definition says, and it is never written by hand.
 */
export { createDocument } from './document.ts';
