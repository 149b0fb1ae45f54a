/**
 * Leaves out ever smaller pieces of a list, as long as what is left still does it (Zeller and Hildebrandt 2002). When
 * `does` stops answering true, because its tries are used up, what is left so far is the result.
 */
export async function fewest<T>(
  items: readonly T[],
  does: (kept: readonly T[]) => Promise<boolean>,
): Promise<readonly T[]> {
  if (items.length === 0 || (await does([]))) return [];
  let kept = items;
  for (let piece = kept.length >>> 1; piece >= 1; ) {
    const before = kept.length;
    // From the end: what comes late is needed less often.
    for (let end = kept.length; end > 0; ) {
      const start = Math.max(0, end - piece);
      const rest = [...kept.slice(0, start), ...kept.slice(end)];
      if (rest.length > 0 && (await does(rest))) kept = rest;
      end = start;
    }
    if (piece > 1) piece = Math.min(piece >>> 1, Math.max(1, kept.length >>> 1));
    else if (kept.length === before) break;
  }
  return kept;
}
