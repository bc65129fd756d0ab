/**
 * What the front door needs of `node:http`. An `import` of that module reads every property of it, and one of them loads the
 * client behind `WebSocket`: 25 ms of every start, for nothing.
 */
export const { createServer, request, STATUS_CODES } = process.getBuiltinModule('node:http');
