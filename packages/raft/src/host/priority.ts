export const priorityDefault = 100;
export const priorityMax = 1000;
/** How a node tells its peers; one that does not has the default. */
const attribute = 'nori.priority';

/** What a node tells of itself, with the priority it wants to be known by. */
export function withPriority(
  attributes: Readonly<Record<string, string>>,
  priority: number,
): Readonly<Record<string, string>> {
  return priority === priorityDefault ? attributes : { ...attributes, [attribute]: String(priority) };
}

/** What a peer told. Nonsense counts as nothing said: it is only a wish. */
export function priorityOf(attributes: Readonly<Record<string, string>>): number {
  const told = Number(attributes[attribute] ?? priorityDefault);
  return Number.isInteger(told) && told >= 0 && told <= priorityMax ? told : priorityDefault;
}
