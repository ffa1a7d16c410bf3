/**
 * The kit for users' tests, public as `posthaste/testing`. Defines nothing.
 */
export { TestEngine } from "./testing/TestEngine.ts"
export { type Answer, type SentRequest, TestSender } from "./testing/TestSender.ts"
