import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { ownerOfPeer, type ReadTable } from './peer-owner.ts';

const HEAD =
  '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode                                                     \n';

/** A line of `/proc/net/tcp`, as Linux writes it. */
function line(ends: string, uid: number, inode: number): string {
  return `   7: ${ends} 01 00000000:00000000 00:00000000 00000000  ${String(uid).padStart(4)}        0 ${inode} 1 0000000000000000 20 4 30 10 -1\n`;
}

const tables =
  (tcp: string | undefined, tcp6?: string): ReadTable =>
  (family) => {
    const table = family === 'tcp' ? tcp : tcp6;
    return table === undefined ? Promise.reject(new Error('ENOENT')) : Promise.resolve(HEAD + table);
  };

const ENDS = { remoteAddress: '127.0.0.1', remotePort: 40_000, localAddress: '127.0.0.1', localPort: 5000 };
const CLIENT = '0100007F:9C40 0100007F:1388';
const SERVER = '0100007F:1388 0100007F:9C40';

describe('ownerOfPeer()', {
  skip: new Uint8Array(new Uint16Array([1]).buffer)[0] !== 1 && 'the tables are of other machines',
}, () => {
  test('is the user of the end of the client, not of the server', async () => {
    assert.equal(await ownerOfPeer(ENDS, tables(line(SERVER, 5, 1) + line(CLIENT, 99, 2))), 99);
  });

  test('of a server that listens on every address, whose client speaks IPv4 or IPv6', async () => {
    const mapped = { ...ENDS, remoteAddress: '::ffff:127.0.0.1', localAddress: '::ffff:127.0.0.1' };
    assert.equal(await ownerOfPeer(mapped, tables(line(CLIENT, 99, 2), '')), 99);
    const in6 = `${'0'.repeat(16)}FFFF00000100007F:9C40 ${'0'.repeat(16)}FFFF00000100007F:1388`;
    assert.equal(await ownerOfPeer(mapped, tables('', line(in6, 98, 2))), 98);
    const six = { ...ENDS, remoteAddress: '::1', localAddress: '::1' };
    const one = `${'0'.repeat(24)}01000000`;
    assert.equal(await ownerOfPeer(six, tables(undefined, line(`${one}:9C40 ${one}:1388`, 97, 2))), 97);
  });

  test('is none where no process holds the end any more, which the table shows as of root', async () => {
    assert.equal(await ownerOfPeer(ENDS, tables(line(CLIENT, 0, 0))), 'none');
    assert.equal(await ownerOfPeer(ENDS, tables(line(SERVER, 0, 3))), 'none');
    assert.equal(await ownerOfPeer({ ...ENDS, remoteAddress: 'x' }, tables(line(CLIENT, 0, 3))), 'none');
    assert.equal(await ownerOfPeer(ENDS, tables('   7: 0100007F:9C40 0100007F:1388 01')), 'none');
  });

  test('is not known where there is no table', async () => {
    assert.equal(await ownerOfPeer(ENDS, tables(undefined)), undefined);
  });
});
