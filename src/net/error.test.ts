import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { codeOf, httpErrorOf, type Phase, wrongProtocol } from './error.ts';
import { HttpError, type HttpErrorCode } from './http-types.ts';

function failure(code: string | undefined): Error {
  return Object.assign(new Error('it failed'), { code });
}

describe('codeOf()', () => {
  const cases: readonly (readonly [string | undefined, Phase, HttpErrorCode])[] = [
    ['ECONNREFUSED', 'dial', 'refused'],
    ['EHOSTUNREACH', 'dial', 'refused'],
    ['ENETUNREACH', 'dial', 'refused'],
    ['ENOTFOUND', 'dial', 'dns'],
    ['EAI_AGAIN', 'dial', 'dns'],
    ['ETIMEDOUT', 'dial', 'timeout'],
    ['ECONNRESET', 'dial', 'reset'],
    ['ECONNRESET', 'handshake', 'tls-reset'],
    ['EPIPE', 'handshake', 'tls-reset'],
    ['ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', 'handshake', 'tls'],
    ['ERR_TLS_CERT_ALTNAME_INVALID', 'handshake', 'tls'],
    ['CERT_HAS_EXPIRED', 'handshake', 'tls'],
    ['UNABLE_TO_VERIFY_LEAF_SIGNATURE', 'handshake', 'tls'],
    ['DEPTH_ZERO_SELF_SIGNED_CERT', 'handshake', 'tls'],
    ['SELF_SIGNED_CERT_IN_CHAIN', 'handshake', 'tls'],
    ['EPROTO', 'head', 'tls'],
    ['ECONNRESET', 'head', 'reset'],
    ['ECONNRESET', 'body', 'truncated'],
    ['ETIMEDOUT', 'body', 'truncated'],
    ['ETIMEDOUT', 'head', 'timeout'],
    ['EHOSTUNREACH', 'body', 'truncated'],
    ['ABORT_ERR', 'body', 'aborted'],
    [undefined, 'head', 'reset'],
    [undefined, 'body', 'truncated'],
    ['constructor', 'head', 'reset'],
  ];
  for (const [code, phase, expected] of cases) {
    test(`calls ${code ?? 'no code'} in the ${phase} phase ${expected}`, () => {
      assert.equal(codeOf(failure(code), phase), expected);
    });
  }

  test('takes what is no error for a broken connection', () => {
    assert.equal(codeOf('why', 'head'), 'reset');
  });
});

describe('httpErrorOf()', () => {
  test('names host and port, says what happened, and keeps the cause', () => {
    const cause = failure('ECONNREFUSED');
    const error = httpErrorOf(cause, { authority: 'h:443', phase: 'dial' });
    assert.equal(error.message, 'h:443 cannot be reached (ECONNREFUSED: it failed)');
    assert.equal(error.cause, cause);
  });

  test('leaves out advice on flags of Node, which the server does not take', () => {
    const cause = Object.assign(
      new Error(
        'self-signed certificate; if the root CA is installed locally, try running Node.js with --use-system-ca',
      ),
      { code: 'DEPTH_ZERO_SELF_SIGNED_CERT' },
    );
    const { message } = httpErrorOf(cause, { authority: 'h:443', phase: 'handshake' });
    assert.equal(
      message,
      'h:443 offers no TLS connection that can be trusted (DEPTH_ZERO_SELF_SIGNED_CERT: self-signed certificate)',
    );
  });

  test('says of OpenSSL’s own words what they mean', () => {
    const message =
      '40F7:error:0A00010B:SSL routines:tls_validate_record_header:wrong version number:../tlsany_meth.c:78:\n';
    const cause = Object.assign(new Error(message), {
      code: 'ERR_SSL_WRONG_VERSION_NUMBER',
      reason: 'wrong version number',
    });
    const error = httpErrorOf(cause, { authority: 'h:443', phase: 'handshake' });
    assert.match(error.message, /^h:443 [^(]+ \(ERR_SSL_WRONG_VERSION_NUMBER: wrong version number\)$/);
    assert.equal(error.cause, cause);
  });

  test('passes an HttpError as it is', () => {
    const error = new HttpError('forbidden', 'no');
    assert.equal(httpErrorOf(error, { authority: 'h:443', phase: 'dial' }), error);
  });
});

test('httpErrorOf() says that a server speaks HTTP/2 alone', () => {
  const error = httpErrorOf(failure('ERR_SSL_TLSV1_ALERT_NO_APPLICATION_PROTOCOL'), {
    authority: 'a:443',
    phase: 'handshake',
  });
  assert.equal(error.code, 'tls');
  assert.match(error.message, /^a:443 speaks HTTP\/2 alone/);
  assert.match(error.remedy ?? '', /accept HTTP\/1\.1/);
});

test('wrongProtocol() says that a server speaks HTTP/2 alone, and names any other protocol', () => {
  assert.match(wrongProtocol('a:443', 'h2').explanation, /^a:443 speaks HTTP\/2 alone.*h2.*\. Let the upstream/);
  assert.equal(wrongProtocol('a:443', 'dot').message, 'a:443 chose dot where only http/1.1 was offered');
});

describe('a TLS handshake that fails', () => {
  const about = { authority: 'a:443', phase: 'handshake', remedy: 'Try another way.' } as const;

  test('by a reset is told apart, with the remedy', () => {
    const error = httpErrorOf(failure('ECONNRESET'), about);
    assert.equal(
      error.explanation,
      'a:443 cannot be reached: the connection was reset during the TLS handshake, as firewalls do that block a host name (ECONNRESET: it failed). Try another way.',
    );
  });

  for (const [code, words] of [
    ['ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR', 'a:443 refuses the TLS handshake'],
    ['CERT_HAS_EXPIRED', 'a:443 offers no TLS connection that can be trusted'],
  ] as const) {
    test(`by ${code} is no reset, and has no such remedy`, () => {
      const error = httpErrorOf(failure(code), about);
      assert.deepEqual([error.code, error.remedy], ['tls', undefined]);
      assert.ok(error.explanation.startsWith(words), error.explanation);
    });
  }
});
