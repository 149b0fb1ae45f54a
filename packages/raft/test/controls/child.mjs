// Runs seeds of a patched build until one of them is found to break a promise, and prints what was found as JSON.
import { pathToFileURL } from 'node:url';

const [build, text] = process.argv.slice(2);
const { ordeal, seeds } = JSON.parse(text);
const load = (file) => import(pathToFileURL(`${build}/testkit/${file}.js`).href);
const { simulate } = await load('simulation');
const { shapeOf } = await load('campaign');
const { SteadyChecker } = await load('checkers/steady-checker');

let found = null;
for (let seed = 1; seed <= seeds && found === null; seed += 1) {
  const { steady, schedule, ...options } = ordeal;
  const { violation, atMs } = await simulate({
    ...shapeOf(seed),
    ...options,
    ...(schedule === undefined ? {} : { schedule: schedule.map((fault) => ({ ...fault, seed })) }),
    checkers: steady === undefined ? [] : [new SteadyChecker(steady)],
    seed,
  });
  if (violation !== null) found = { seed, atMs, promise: violation.promise, message: violation.message };
}
process.stdout.write(JSON.stringify({ found, cpuMs: process.cpuUsage().user / 1000 }));
