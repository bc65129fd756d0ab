/**
 * How much is served at once: slots, the queue for them, rates per client.
 *
 * It never looks at what a request asks for.
 */
export { Admission, type AdmissionLimits } from './admission.ts';
export { OverloadError } from './overload.ts';
