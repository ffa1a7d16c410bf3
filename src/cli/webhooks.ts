/**
 * `posthaste webhooks`: register, look at and change webhooks.
 */
import * as Command from "effect/cli/Command"
import { check } from "./webhooks/check.ts"
import { create } from "./webhooks/create.ts"
import { remove } from "./webhooks/delete.ts"
import { list } from "./webhooks/list.ts"
import { pause } from "./webhooks/pause.ts"
import { resume } from "./webhooks/resume.ts"
import { rotateSecret } from "./webhooks/rotate-secret.ts"
import { show } from "./webhooks/show.ts"
import { test } from "./webhooks/test.ts"
import { update } from "./webhooks/update.ts"

/** Holds the words about webhooks. */
export const webhooks = Command.make("webhooks").pipe(
  Command.withDescription("Webhooks: who gets messages, and how"),
  Command.withSubcommands([
    list,
    create,
    show,
    update,
    remove,
    pause,
    resume,
    test,
    check,
    rotateSecret
  ])
)
