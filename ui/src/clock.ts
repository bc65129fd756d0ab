import { signal } from '@preact/signals';

/** Milliseconds by which the clock of the server is ahead of this one: ages are those of the server's times. */
const ahead = signal(0);

/** The time of the server, for texts such as `3 minutes ago`: a new value every few seconds while the tab is visible. */
export const now = signal(Date.now());

const STEP = 5000;

/** The time of the server at this moment; what draws by it is drawn again at each step of `now`. */
export function serverTime(): number {
  return Math.max(now.value, serverNow());
}

/** Takes the clock of the server from an answer. */
export function setServerTime(at: number): void {
  ahead.value = at - Date.now();
  now.value = at;
}

/** The time of the server at this moment. */
function serverNow(): number {
  return Date.now() + ahead.peek();
}

setInterval(() => {
  if (document.visibilityState === 'visible') now.value = serverNow();
}, STEP);
