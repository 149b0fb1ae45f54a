import { join } from 'node:path';
import { type Meter, NoriError, type Observer, RaftHost } from 'nori-raft';
import { prometheusMeter } from 'nori-raft/prometheus';
import promClient from 'prom-client';
import { ConfigError } from '../config/config-error.ts';
import type { Settings } from '../config/settings.ts';
import { HttpServer } from '../http/http-server.ts';
import type { KvHost } from '../router/host.ts';
import { Router } from '../router/router.ts';
import { type Announced, type ClusterView, clusterView, splitAddress } from '../router/topology.ts';
import { type Engine, openEngine } from '../state/engine.ts';
import type { KvStateMachine } from '../state/kv-state-machine.ts';
import { Balancer } from './balance.ts';
import { registerHostMetrics } from './host-metrics.ts';
import { clusterToJoin, type JoinedCluster, knownMembers, rememberCluster } from './joining.ts';
import type { Logger } from './logger.ts';
import { type NodeContext, type ServerStats, serverStats } from './node-context.ts';
import { Refusals } from './refusals.ts';
import { RespServer } from './resp-server.ts';
import { readShardCount, writeShardCount } from './shard-count.ts';

const shardsDefault = 8;
/** What an entry holds beside the key and the value of a plain SET: options, and the frame around them. */
const commandOverheadBytes = 65_536;

/** A running host, as much of it as the server needs beside routing. */
export interface OpenedHost extends KvHost {
  createGroup(options: { readonly group: number; readonly stateMachine: KvStateMachine }): Promise<unknown>;
  handOver(): Promise<void>;
  close(options: { readonly handover: boolean }): Promise<void>;
  onFailed: ((error: NoriError) => void) | null;
  onRefused: ((peer: string, error: NoriError) => void) | null;
}

export interface KvServerOptions {
  readonly version: string;
  readonly logger: Logger;
  /** The node cannot go on. Called at most once; the server is not closed. */
  readonly onFatal: (error: NoriError) => void;
  /** For tests: puts another host in RaftHost's place. */
  readonly openHost?: (
    settings: Settings,
    announced: Announced,
    meter: Meter,
    observer: Observer,
  ) => Promise<OpenedHost>;
}

/** One node of nori-kv: the Raft host, the RESP port and the HTTP port. */
export class KvServer implements NodeContext {
  readonly id: string;
  readonly version: string;
  readonly settings: Settings;
  readonly startedAtMs: number = Date.now();
  readonly password: string | null;
  readonly limits: NodeContext['limits'];
  readonly clientsMax: number;
  readonly clientIdleMs: number;
  readonly stats: ServerStats = serverStats();
  readonly registry: promClient.Registry = new promClient.Registry();
  announced: Announced = { resp: '', http: '' };
  router: Router | null = null;
  /** Why the node cannot go on, or null. */
  failure: NoriError | null = null;
  readonly stateMachines: KvStateMachine[] = [];
  readonly #logger: Logger;
  readonly #options: KvServerOptions;
  readonly #resp: RespServer;
  readonly #http: HttpServer;
  #host: OpenedHost | null = null;
  #engine: Engine | null = null;
  #balancer: Balancer | null = null;
  #closing: Promise<void> | null = null;

  /** Resolves when the node serves; leaders may still have to be found. Throws a ConfigError or a NoriError. */
  static async start(settings: Settings, options: KvServerOptions): Promise<KvServer> {
    const server = new KvServer(settings, options);
    try {
      await server.#open();
    } catch (error) {
      await server.close();
      throw error;
    }
    return server;
  }

  private constructor(settings: Settings, options: KvServerOptions) {
    this.id = settings.id;
    this.settings = settings;
    this.version = options.version;
    this.password = settings.password ?? null;
    this.limits = { keyBytesMax: settings.keyBytesMax, valueBytesMax: settings.valueBytesMax };
    this.clientsMax = settings.clientsMax;
    this.clientIdleMs = settings.clientIdleMs;
    this.#logger = options.logger;
    this.#options = options;
    this.#resp = new RespServer(this);
    this.#http = new HttpServer(
      async () => (await import('../http/app.ts')).createHttpApp(this).fetch,
      settings.keyBytesMax,
    );
  }

  /** Null while the host is still reading its log. */
  get host(): KvHost | null {
    return this.#host;
  }

  view(): ClusterView | null {
    return this.router === null ? null : clusterView(this.router.host, this.router.map, this.announced);
  }

  clients(): RespServer['connections'] {
    return this.#resp.connections;
  }

  keyCount(): number {
    let count = 0;
    for (const machine of this.stateMachines) count += machine.count;
    return count;
  }

  /** Hands leadership over, answers what is in flight, and lets go of disk and ports. */
  close(): Promise<void> {
    this.#closing ??= this.#close();
    return this.#closing;
  }

  async #open(): Promise<void> {
    const { settings } = this;
    const stored = readShardCount(settings.dataDir);
    const joined = await clusterToJoin(settings.join, settings.dataDir);
    const shards = settings.shards ?? stored ?? joined?.shards ?? shardsDefault;
    if (joined !== null && joined.shards !== shards) {
      throw new ConfigError(`the cluster has ${joined.shards} shards, not ${shards}: leave --shards out`);
    }
    if (stored !== null && stored !== shards) {
      throw new ConfigError(
        `the data directory ${settings.dataDir} was founded with ${stored} shards, not ${shards}: start with --shards ${stored}`,
      );
    }
    // The ports first: one that is in use must not cost the node its place in the cluster.
    const respPort = await this.#resp.listen(settings.resp);
    const httpPort = await this.#http.listen(settings.http);
    this.announced = {
      resp: settings.announceResp ?? this.#reachable(settings.resp, respPort),
      http: settings.announceHttp ?? this.#reachable(settings.http, httpPort),
    };
    promClient.collectDefaultMetrics({ register: this.registry });
    const open = this.#options.openHost ?? ((...details) => this.#openRaftHost({ shards, joined }, ...details));
    const host = await open(settings, this.announced, prometheusMeter(promClient, this.registry), this.#observer());
    this.#host = host;
    registerHostMetrics(promClient, this.registry, () => host.status());
    host.onFailed = (error) => this.#fail(error);
    const refusals = new Refusals(Object.keys(settings.members).length, (error) => this.#fail(error));
    host.onRefused = (_peer, error) => refusals.refused(error, host.peers());
    if (joined !== null) rememberCluster(settings.dataDir, joined);
    if (stored === null) writeShardCount(settings.dataDir, shards);
    // After the host, which makes sure that nobody else has the directory.
    this.#engine = await openEngine(settings.engine, {
      path: join(settings.dataDir, 'state'),
      onFailed: (cause) => this.#fail(engineFailed(cause)),
      onDamaged: (why) => this.#logger.error({ why }, 'the keys on disk are built anew from the log and the snapshots'),
    });
    for (let shard = 0; shard < shards; shard += 1) {
      const stateMachine = this.#engine.stateMachine(shard + 1);
      this.stateMachines.push(stateMachine);
      await host.createGroup({ group: shard + 1, stateMachine });
    }
    this.router = new Router(host, {
      shards,
      routing: settings.routing,
      reads: settings.reads,
      commandTimeoutMs: settings.commandTimeoutMs,
      respAddressOf: (id) => this.#respAddressOf(id),
    });
    if (settings.balance) this.#balancer = new Balancer(host, this.router.map, settings.priority, this.#logger);
    const { resp, http } = this.announced;
    this.#logger.info(
      { resp, http, peer: host.status().address, shards, routing: settings.routing, engine: settings.engine },
      'serving',
    );
    await this.#http.prepare();
  }

  async #openRaftHost(
    { shards, joined }: { readonly shards: number; readonly joined: JoinedCluster | null },
    settings: Settings,
    announced: Announced,
    meter: Meter,
    observer: Observer,
  ): Promise<OpenedHost> {
    const host = await RaftHost.open({
      id: settings.id,
      dataDir: settings.dataDir,
      listen: settings.peer,
      members: knownMembers(joined, settings.members),
      ...(joined === null ? { clusterName: settings.clusterName } : { clusterId: joined.clusterId, join: true }),
      bootstrap: settings.bootstrap || joined !== null,
      attributes: { resp: announced.resp, http: announced.http, shards: String(shards) },
      priority: settings.priority,
      heartbeatMs: settings.heartbeatMs,
      electionTimeoutMs: settings.electionTimeoutMs,
      leaseMs: settings.leaseMs,
      maxClockDrift: settings.maxClockDrift,
      commitTimeoutMs: settings.commandTimeoutMs,
      snapshotLogBytes: settings.snapshotLogBytes,
      snapshotEntries: settings.snapshotEntries,
      snapshotTailEntries: settings.snapshotTailEntries,
      snapshotBytesPerSecond: settings.snapshotBytesPerSecond,
      commandBytesMax: settings.keyBytesMax + settings.valueBytesMax + commandOverheadBytes,
      meter,
      observer,
      logger: this.#logger,
    });
    return host;
  }

  backupFailed(error: unknown): void {
    const { code, message } = error as Partial<NoriError>;
    this.#logger.warn({ code, why: message ?? String(error) }, 'a backup ended early');
  }

  #respAddressOf(id: string): string | null {
    if (id === this.id) return this.announced.resp;
    return this.#host?.peers().find((peer) => peer.id === id)?.attributes['resp'] ?? null;
  }

  /** Clients cannot connect to 0.0.0.0: they are given the host under which the other nodes know this one. */
  #reachable(address: string, port: number): string {
    const { host } = splitAddress(address);
    const member = this.settings.members[this.id];
    const wildcard = host === '0.0.0.0' || host === '::' || host === '';
    const reachable = wildcard && member !== undefined ? splitAddress(member).host : host;
    return reachable.includes(':') ? `[${reachable}]:${port}` : `${reachable}:${port}`;
  }

  #observer(): Observer {
    return {
      // The host writes a line of its own about everything an operator should read.
      onEvent: ({ scope, event }) => {
        this.#logger.debug({ scope, ...event }, event.type);
        // Not from within the host's turn, which this may be.
        if (event.type === 'LeaderElected') setImmediate(() => this.router?.leaderKnown(event.group));
      },
    };
  }

  #fail(error: NoriError): void {
    if (this.failure !== null || this.#closing !== null) return;
    this.failure = error;
    this.#options.onFatal(error);
  }

  async #close(): Promise<void> {
    this.#balancer?.stop();
    // First, while everybody is still served: commands that come now are passed on to the new leaders.
    await this.#host?.handOver();
    await this.#resp.close();
    await this.#host?.close({ handover: true });
    await this.#engine?.close();
    await this.#http.close();
  }
}

function engineFailed(cause: unknown): NoriError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new NoriError('DISK_FAILED', { message: `the engine could not write its state: ${why}`, cause });
}
