import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { formatTokens } from './tokens.ts';
import { formatUnused, formatUsers } from './users.ts';

const at = (time: string): number => Date.parse(`2026-03-02T${time}:30Z`);

describe('the list of users', () => {
  test('has those of the command and those of the configuration', () => {
    assert.deepEqual(
      formatUsers({
        users: [
          { name: 'alice', from: 'stored', disabled: true, createdAt: at('09:14'), passwordAt: at('10:00') },
          { name: 'carol', from: 'htpasswd', disabled: false },
          { name: 'proxy', from: 'forward_proxy', disabled: false },
          // Of a later server.
          { name: 'dave', from: 'ldap', disabled: false },
        ],
      }).split('\n'),
      [
        'NAME   STATE     KEPT IN             CREATED (UTC)     PASSWORD SET',
        'alice  disabled  stored              2026-03-02 09:14  2026-03-02 10:00',
        'carol  enabled   access.htpasswd',
        'proxy  enabled   forward_proxy.user',
        'dave   enabled   ldap',
        '',
      ],
    );
  });

  test('marks what has no effect because a stored user has the name, and says so', () => {
    const users = [
      { name: 'alice', from: 'stored', disabled: true, createdAt: at('09:14'), passwordAt: at('10:00') },
      { name: 'alice', from: 'htpasswd', disabled: false, unused: true },
      { name: 'carol', from: 'htpasswd', disabled: false },
    ];
    assert.deepEqual(formatUsers({ users }).split('\n').slice(1, 4), [
      'alice  disabled   stored           2026-03-02 09:14  2026-03-02 10:00',
      'alice  no effect  access.htpasswd',
      'carol  enabled    access.htpasswd',
    ]);
    assert.equal(
      formatUnused({ users }),
      'note: alice is a stored user, so access.htpasswd has no effect for the name; remove one of the two\n',
    );
  });

  test('has straight columns for names in wide characters and with combining marks', () => {
    const lines = formatUsers({
      users: ['用户', 'e\u0301x', 'alice'].map((name) => ({ name, from: 'htpasswd', disabled: false })),
    }).split('\n');
    assert.deepEqual(lines.slice(1, 4), [
      '用户   enabled  access.htpasswd',
      'e\u0301x     enabled  access.htpasswd',
      'alice  enabled  access.htpasswd',
    ]);
  });

  test('says how to begin', () => assert.match(formatUsers({ users: [] }), /entrepot users add NAME/));
});

describe('the list of tokens', () => {
  test('has scopes, end and last use', () => {
    const ci = { name: 'ci', may: ['pull', 'catalog'], on: ['a/**', 'b/c'], state: 'valid', createdAt: at('09:20') };
    assert.deepEqual(
      formatTokens({
        tokens: [
          { ...ci, expiresAt: at('09:21'), usedAt: at('09:22') },
          { ...ci, name: 'laptop', owner: 'alice', state: 'disabled', on: [] },
        ],
      }).split('\n'),
      [
        'NAME    ACTS FOR  STATE     CREATED (UTC)     EXPIRES           LAST USE          SCOPES',
        'ci                valid     2026-03-02 09:20  2026-03-02 09:21  2026-03-02 09:22  pull, catalog on a/**, b/c',
        'laptop  alice     disabled  2026-03-02 09:20  never             never             pull, catalog',
        '',
      ],
    );
  });

  test('says how to begin', () => assert.match(formatTokens({ tokens: [] }), /entrepot tokens create NAME/));
});
