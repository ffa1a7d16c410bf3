/**
 * The kit for users' tests, public as `posthaste/testing`. Defines nothing.
 */
export * as Samples from "./testing/Samples.ts"
export { TestEngine } from "./testing/TestEngine.ts"
export { type Answer, type Script, type SentRequest, TestSender } from "./testing/TestSender.ts"
