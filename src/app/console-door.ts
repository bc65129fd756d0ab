import { type Door, type RequestContext, replyBytes, replyEmpty, requireReading } from '../server/index.ts';
import { loadWeb } from './settings/index.ts';

/** The page of the console, below `/ui/`. It holds no data, so no gate is asked: what it shows comes from the API, which asks. */
export const consoleDoor: Door = {
  open(context) {
    const { path } = context;
    if (!path.startsWith('/ui') || (path !== '/ui' && path[3] !== '/')) return undefined;
    return {
      takesSlot: false,
      parse() {
        requireReading(context);
        context.route = 'console';
        return { access: undefined, answer: () => answer(context) };
      },
    };
  },
};

async function answer(context: RequestContext): Promise<void> {
  const { 'accept-encoding': encoding, 'if-none-match': ifNoneMatch } = context.request.headers;
  const { replyConsole } = await loadWeb();
  const acceptEncoding = Array.isArray(encoding) ? encoding.join() : encoding;
  const { status, headers, body } = await replyConsole({ path: context.path, acceptEncoding, ifNoneMatch });
  if (body === undefined) replyEmpty(context, status, headers);
  else replyBytes(context, status, headers, body);
}
