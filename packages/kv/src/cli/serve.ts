import { gatherSettings } from '../config/gather.ts';
import { KvServer } from '../server/kv-server.ts';
import { jsonLogger } from './json-logger.ts';

/** How long a stop may take before the process ends anyway. */
const stopMsMax = 10_000;

/** Runs a node until a signal stops it. The process ends in here. */
export async function runServe(flags: Record<string, unknown>, version: string): Promise<void> {
  const { settings, warnings } = gatherSettings({ flags, environment: process.env });
  const logger = jsonLogger({ level: settings.logLevel, name: settings.id });
  for (const warning of warnings) logger.warn({}, warning);

  let server: KvServer | null = null;
  let stopping = false;
  const stop = (reason: string): void => {
    if (stopping) {
      logger.warn({ reason }, 'asked to stop a second time: leaving at once');
      process.exit(130);
    }
    stopping = true;
    logger.info({ reason }, 'stopping: leadership is handed over first');
    setTimeout(() => process.exit(1), stopMsMax).unref();
    if (server === null) process.exit(0);
    server.close().then(
      () => process.exit(0),
      (error: unknown) => {
        logger.error({ error: String(error) }, 'the stop was not clean');
        process.exit(1);
      },
    );
  };
  process.on('SIGTERM', () => stop('SIGTERM'));
  process.on('SIGINT', () => stop('SIGINT'));
  // Started by `nori-kv start`: without its supervisor the node would be an orphan nobody stops.
  if (process.send !== undefined) process.on('disconnect', () => stop('the supervisor is gone'));

  server = await KvServer.start(settings, {
    version,
    logger,
    onFatal: (error) => {
      logger.error({ code: error.code, remedy: error.remedy }, error.message);
      process.stderr.write(`nori-kv: ${error.message}; ${error.remedy}\n`);
      process.exit(1);
    },
  });
  process.send?.({ type: 'started', resp: server.announced.resp, http: server.announced.http });
}
