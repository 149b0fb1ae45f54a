import { slotCount } from '../commands/key-slot.ts';
import { keyOrder } from './entry.ts';

export interface ScanPage {
  readonly keys: readonly string[];
  /** Where to go on, or 0: that was all. */
  readonly cursor: number;
}

type Slots = ReadonlyMap<number, ReadonlyMap<string, unknown>>;

/** A slot that holds many keys is walked in at most this many pages, since each of them looks at all its keys. */
const pagesPerSlotMax = 64;
export const orderCount: number = 2 ** 32;

/**
 * One page of a scan in the order (slot, hash of the key). The cursor names the next place in that order, so nothing is
 * remembered between pages, and a key that exists during the whole scan is met whatever else comes and goes. The low 14
 * bits of the cursor are its slot: the server asks the group that owns it, and goes on with the next group's first slot
 * when the answer is 0.
 */
export function scan(slots: Slots, cursor: number, count: number): ScanPage {
  let slot = cursor % slotCount;
  let order = Math.floor(cursor / slotCount);
  const keys: string[] = [];
  if (order >= orderCount) return { keys, cursor: 0 };
  for (; slot < slotCount; slot += 1, order = 0) {
    const held = slots.get(slot);
    if (held === undefined) continue;
    if (keys.length >= count) return { keys, cursor: slot };
    const room = Math.max(count - keys.length, Math.ceil(held.size / pagesPerSlotMax));
    if (order === 0 && held.size <= room) {
      for (const key of held.keys()) keys.push(key);
      continue;
    }
    const next = takeInOrder(held, order, { keys, room });
    if (next < orderCount) return { keys, cursor: next * slotCount + slot };
  }
  return { keys, cursor: 0 };
}

/** Adds the first `room` keys from `order` on, and all that share the last one's place; answers the next place. */
function takeInOrder(
  held: ReadonlyMap<string, unknown>,
  order: number,
  page: { readonly keys: string[]; readonly room: number },
): number {
  const ahead: { readonly key: string; readonly order: number }[] = [];
  for (const key of held.keys()) {
    const place = keyOrder(key);
    if (place >= order) ahead.push({ key, order: place });
  }
  ahead.sort((left, right) => left.order - right.order);
  let taken = 0;
  for (const { key, order: place } of ahead) {
    if (taken >= page.room && place !== ahead[taken - 1]?.order) return place;
    page.keys.push(key);
    taken += 1;
  }
  return orderCount;
}
