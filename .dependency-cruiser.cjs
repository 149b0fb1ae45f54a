// The import law (ARCHITECTURE.md): a folder imports only from folders left of it. `docs/adr/0001` says why.
const layers = [
  ['base'],
  ['core'],
  ['codec'],
  ['ports'],
  ['wal', 'snapshot', 'transport', 'observe'],
  ['host'],
  ['node', 'testkit'],
  ['index.ts'],
];
const coreOrder = [
  'types',
  'message',
  'input',
  'output',
  'quorum',
  'configuration',
  'clock-rate',
  'progress',
  'log',
  'early-election',
  'state',
  'replication',
  'lease',
  'reads',
  'membership',
  'roles',
  'election',
  'follower',
  'transfer',
  'snapshot',
  'invariants',
  'raft',
  'index',
];
const raft = '^packages/raft/src/';
const pathOf = (name) => (name.endsWith('.ts') ? `${raft}${name.replace('.', '\\.')}$` : `${raft}${name}/`);

const layerRules = layers.flatMap((names, at) =>
  names.map((name) => ({
    name: `import-law-${name.replace('.ts', '')}`,
    severity: 'error',
    comment: `${name} may import only what stands left of it`,
    from: { path: pathOf(name), pathNot: '\\.test\\.ts$' },
    to: {
      path: [...names.filter((sibling) => sibling !== name), ...layers.slice(at + 1).flat()]
        .map(pathOf)
        .concat('^packages/(kv|dashboard)/'),
    },
  })),
);

const coreRules = coreOrder.map((name, at) => ({
  name: `core-order-${name}`,
  severity: 'error',
  comment: `core/${name}.ts may import only the core files left of it`,
  from: { path: `${raft}core/${name}\\.ts$` },
  to: { path: coreOrder.slice(at + 1).map((right) => `${raft}core/${right}\\.ts$`) },
}));

module.exports = {
  forbidden: [
    ...layerRules.filter((rule) => rule.to.path.length > 0),
    ...coreRules.filter((rule) => rule.to.path.length > 0),
    {
      name: 'only-node-touches-node',
      severity: 'error',
      comment: 'node/ is the only folder of the library that imports node:*',
      from: { path: raft, pathNot: [`${raft}node/`, '\\.test\\.ts$'] },
      to: { dependencyTypes: ['core'] },
    },
    {
      name: 'kv-uses-the-public-library',
      severity: 'error',
      comment: 'nori-kv uses the library through its exports, as any user would',
      from: { path: '^packages/kv/' },
      to: { path: raft },
    },
    { name: 'no-circular', severity: 'error', from: {}, to: { circular: true } },
    {
      name: 'no-orphans',
      severity: 'error',
      from: { orphan: true, path: raft, pathNot: '\\.test\\.ts$' },
      to: {},
    },
  ],
  options: {
    doNotFollow: { path: 'node_modules' },
    exclude: { path: '(^|/)dist/' },
    tsPreCompilationDeps: true,
    tsConfig: { fileName: 'tsconfig.base.json' },
    enhancedResolveOptions: {
      exportsFields: ['exports'],
      conditionNames: ['import', 'node', 'types'],
      extensions: ['.ts', '.js'],
    },
  },
};
