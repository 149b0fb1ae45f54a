const types = new Set(['normal', 'master', 'slave', 'replica', 'pubsub']);

/** Every client of ours is a normal one; the other types exist, and nobody has them. */
export const isClientType = (type: string): boolean => types.has(type);

export const unknownClientType = (type: string): string => `ERR Unknown client type '${type.slice(0, 64)}'`;
