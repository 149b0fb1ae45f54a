export { checkHistory, type CheckOptions, type HistoryReport, type KeyReport } from './check.ts';
export type { Fact, Facts, Model, Operation } from './model.ts';
export { register, type RegisterCommand, type RegisterResult, type RegisterState } from './register.ts';
export type { Verdict } from './search.ts';
export { timeline } from './timeline.ts';
export type { FailingWindow } from './window.ts';
