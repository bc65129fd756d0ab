import assert from 'node:assert/strict';
import { PassThrough, Readable } from 'node:stream';
import { describe, test } from 'node:test';
import { type ReadPassword, readPassword } from './password.ts';

const PASSWORD = 'correct horse';

async function atTerminal(...keys: readonly string[]): Promise<{ read: ReadPassword; shown: string }> {
  const input = Object.assign(new PassThrough(), { isTTY: true });
  let shown = '';
  const reading = readPassword({
    fromStdin: false,
    input,
    output: { out: (text) => (shown += text), err: (text) => (shown += text) },
  });
  for (const key of keys) input.write(key);
  return { read: await reading, shown };
}

const piped = (chunks: readonly (string | Buffer)[], fromStdin = true): Promise<ReadPassword> =>
  readPassword({ fromStdin, input: Readable.from(chunks), output: { out: () => {}, err: () => {} } });

describe('at a terminal', () => {
  test('it is asked for twice, and never shown', async () => {
    const { read, shown } = await atTerminal(`${PASSWORD}\r`, `${PASSWORD}\r`);
    assert.deepEqual(read, { password: PASSWORD });
    assert.equal(shown, 'Password: \nThe same again: \n');
  });

  test('both lines may come at once, as pasted, and the keys of a shell edit them', async () => {
    assert.deepEqual((await atTerminal(`${PASSWORD}\r${PASSWORD}\r`)).read, { password: PASSWORD });
    assert.deepEqual((await atTerminal(`x\u007f${PASSWORD}\r`, `nonsense\u0015${PASSWORD}\r`)).read, {
      password: PASSWORD,
    });
  });

  for (const [title, keys, code] of [
    ['two that differ', [`${PASSWORD}\r`, `${PASSWORD}!\r`], 1],
    ['none', ['\r'], 1],
    ['Ctrl-C', ['sec\u0003'], 130],
    ['Ctrl-C at the second', [`${PASSWORD}\r`, '\u0003'], 130],
    ['Ctrl-D', ['\u0004'], 130],
  ] as const) {
    test(`${title} gives none`, async () => {
      const { read } = await atTerminal(...keys);
      assert.equal('code' in read ? read.code : read.password, code);
    });
  }
});

describe('piped', () => {
  for (const [title, chunks, password] of [
    ['a line', [`${PASSWORD}\n`], PASSWORD],
    ['a line of Windows', [`${PASSWORD}\r\n`], PASSWORD],
    ['no line end', [PASSWORD], PASSWORD],
    [
      'pieces within a character',
      [Buffer.from('zoë horse').subarray(0, 3), Buffer.from('zoë horse').subarray(3)],
      'zoë horse',
    ],
    ['blanks, which are part of it', [' a b \n'], ' a b '],
    ['one line end of two', [`${PASSWORD}\n\n`], `${PASSWORD}\n`],
  ] as const) {
    test(`it is ${title}`, async () => assert.deepEqual(await piped(chunks), { password }));
  }

  for (const [title, chunks, code] of [
    ['nothing', [], 1],
    ['an empty line', ['\n'], 1],
    ['what is not UTF-8', [Buffer.from([0x70, 0xff, 0xfe])], 1],
    ['more than a password', ['x'.repeat(4097)], 1],
  ] as const) {
    test(`${title} is refused`, async () => {
      const read = await piped(chunks);
      assert.equal('code' in read && read.code, code);
    });
  }

  test('is not read unless the flag says so', async () => {
    const read = await piped([PASSWORD], false);
    assert.equal('code' in read && read.code, 2);
  });
});
