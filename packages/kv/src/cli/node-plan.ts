export interface NodePlan {
  readonly id: string;
  readonly resp: string;
  readonly http: string;
  readonly peer: string;
  readonly dataDir: string;
  readonly logFile: string;
  readonly args: readonly string[];
}
