import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const source = (path: string): string => fileURLToPath(new URL(path, import.meta.url));

// unit: beside their sources, offline, no processes. process: real servers, sockets, disks and Redis clients.
export default defineConfig({
  test: {
    projects: [
      {
        // Unit tests see the sources, not the last build.
        resolve: {
          alias: [
            { find: 'nori-raft/prometheus', replacement: source('packages/raft/src/observe/prometheus.ts') },
            {
              find: 'nori-raft/testkit/linearizability',
              replacement: source('packages/raft/src/testkit/linearizability/index.ts'),
            },
            { find: /^nori-raft\/testkit$/, replacement: source('packages/raft/src/testkit/index.ts') },
            { find: 'nori-raft/core', replacement: source('packages/raft/src/core/index.ts') },
            { find: /^nori-raft$/, replacement: source('packages/raft/src/index.ts') },
          ],
        },
        test: {
          name: 'unit',
          include: ['packages/*/src/**/*.test.ts', 'packages/*/test/unit/**/*.test.ts'],
          // No test is about time; a busy machine must not fail one.
          testTimeout: 30_000,
        },
      },
      {
        test: {
          name: 'process',
          include: ['packages/*/test/process/**/*.test.ts', 'test/**/*.test.ts'],
          testTimeout: 180_000,
          hookTimeout: 60_000,
          fileParallelism: false,
        },
      },
    ],
  },
});
