import { defineConfig } from 'vitest/config';

// unit: beside their sources, offline, no processes. process: real servers, sockets, disks and Redis clients.
export default defineConfig({
  test: {
    projects: [
      { test: { name: 'unit', include: ['packages/*/src/**/*.test.ts', 'packages/*/test/unit/**/*.test.ts'] } },
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
