import { ApiError } from './api.ts';
import { words } from './words/index.ts';

/** What was thrown, as an error of the API. */
export function asApiError(reason: unknown): ApiError {
  return reason instanceof ApiError ? reason : new ApiError(String(reason), { status: 0 });
}

/** Why something failed, in the language of the page where the page knows it. */
export function textOf(reason: unknown): string {
  const { message } = asApiError(reason);
  return message === 'unreachable' ? words.value.errors.unreachable : message;
}
