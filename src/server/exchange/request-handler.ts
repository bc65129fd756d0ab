import type { IncomingMessage, ServerResponse } from 'node:http';

/** Takes a request. What it throws is reported, and the response is ended with 500 or cut. */
export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void | Promise<void>;
