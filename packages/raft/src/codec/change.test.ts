import { expect, test } from 'vitest';
import { nodeId } from '../core/types.ts';
import { decodeChange, encodeChange } from './change.ts';

const [n1, n2, n3, n4] = ['n1', 'n2', 'n3', 'n4'].map(nodeId) as [never, never, never, never];
const none = { add: [], addLearners: [], remove: [], promote: [], demote: [], move: [] };

test('what is asked for arrives as it was asked', () => {
  const change = {
    add: [{ id: n1, address: 'a:1' }],
    addLearners: [{ id: n2, address: '' }],
    remove: [n3],
    promote: [n4],
    demote: [],
    move: [{ id: n4, address: 'b:2' }],
  };
  expect(decodeChange(encodeChange(change))).toEqual(change);
  expect(decodeChange(encodeChange({ add: [n1] }))).toEqual({ ...none, add: [{ id: n1, address: '' }] });
  expect(decodeChange(encodeChange(null))).toBeNull();
});

test('a change without a move has the bytes that nodes know which have no moves', () => {
  const bytes = '01 0000 0000 0100 0200 6e33 0000 0000'.replaceAll(' ', '');
  expect(Buffer.from(encodeChange({ ...none, remove: [n3] })).toString('hex')).toBe(bytes);
  expect(decodeChange(Buffer.from(bytes, 'hex'))).toEqual({ ...none, remove: ['n3'] });
});

test('what is longer than it says is malformed', () => {
  const bytes = encodeChange({ move: [{ id: n1, address: 'a:1' }] });
  expect(() => decodeChange(Buffer.concat([bytes, Buffer.of(0)]))).toThrow('longer');
});
