import type { IncomingMessage, ServerResponse } from 'node:http';

/** Handles a request. An error it throws is reported, and the response ends with 500 or is cut. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;
