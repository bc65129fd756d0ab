import { render } from 'preact';
import { ApiError, readSession, session } from './api.ts';
import { App } from './app.tsx';
import { startLive } from './live.ts';
import { enter, takeCode } from './session.tsx';
import './style.css';
import './views/views.css';
import { applyTheme } from './theme.ts';
import { applyLanguage, loadLanguage } from './words/index.ts';

const code = takeCode();
applyTheme();
await untilLoaded();
applyLanguage();
const root = document.getElementById('root');
if (root !== null) render(<App />, root);
if (code !== undefined) await enter(code);
await begin();
startLive();

/** Asks until the server answers: a page that was opened while it restarts goes on by itself. */
async function begin(): Promise<void> {
  for (;;) {
    try {
      await readSession();
      return;
    } catch (error) {
      if (error instanceof ApiError && error.status === 403) {
        session.value = {
          mode: 'closed',
          principal: 'anonymous',
          canLogIn: false,
          canRead: false,
          canChange: false,
          ...(error.remedy === undefined ? {} : { remedy: error.remedy }),
        };
        return;
      }
      await pause();
    }
  }
}

/** There is no text yet in which to say that the server is away. */
async function untilLoaded(): Promise<void> {
  for (;;) {
    try {
      await loadLanguage();
      return;
    } catch {
      await pause();
    }
  }
}

function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve, 2000));
}
