import assert from 'node:assert/strict';
import { HttpError, type HttpErrorCode } from '../../src/net/index.ts';

/** For `assert.rejects`: an HttpError of this code, whose message says this. */
export function failsWith(code: HttpErrorCode, message = /./): (error: unknown) => boolean {
  return (error) => {
    assert.ok(error instanceof HttpError, String(error));
    assert.equal(error.code, code, `${error.message} / ${String(error.cause)}`);
    assert.match(error.message, message);
    return true;
  };
}
