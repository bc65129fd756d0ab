/**
 * The canary: an image that this server alone can answer, so that a pull of it proves which server a client asked.
 *
 * Every canary has a tag of its own, chosen at random by the command `doctor`; the image is derived from the tag. It is
 * never cached, never asked of an upstream, and says nothing about the server but that it answered.
 */
export { Canary, type CanaryView } from './canary.ts';
export { createCanaryDoor, VIEW_PATH } from './door.ts';
export { CANARY_REPOSITORY, newCanaryTag } from './image.ts';
