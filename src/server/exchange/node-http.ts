/**
 * The parts of `node:http` that the front door uses. An `import` of that module reads all its properties, and one of them
 * loads the client behind `WebSocket`: 25 ms of every start, for nothing.
 */
export const { createServer, request, STATUS_CODES } = process.getBuiltinModule('node:http');
