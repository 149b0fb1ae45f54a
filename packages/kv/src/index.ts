/** The public names of nori-kv, for programs that run a node inside themselves. */
export { encodeCommand } from './commands/command-codec.ts';
export { gatherSettings } from './config/gather.ts';
export { ConfigError } from './config/config-error.ts';
export { checkSettings, type Settings } from './config/settings.ts';
export { KvServer, type KvServerOptions, type OpenedHost } from './server/kv-server.ts';
export type { Logger } from './server/logger.ts';
export { type Engine, type EngineKind, type EngineOptions, openEngine } from './state/engine.ts';
export { KvStateMachine } from './state/kv-state-machine.ts';
