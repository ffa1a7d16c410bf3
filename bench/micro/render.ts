/** Making the bytes that receivers get. */
import * as TypeId from "../../src/domain/TypeId.ts"
import { jsonBody } from "../../src/publish/Body.ts"
import { data } from "../rig/Body.ts"
import { data1k, idBytes, messageType, repeat, type Task } from "./Samples.ts"

/** Renders bodies of two sizes. */
export const render = async (): Promise<ReadonlyArray<Task>> => {
  const parts = {
    id: TypeId.fromBytes("message", idBytes(3)),
    type: messageType,
    createdAt: Date.UTC(2027, 0, 1),
    resource: null
  }
  const data16k = data(16_000)
  return [
    repeat("render 1 KB", () => jsonBody({ ...parts, data: data1k })),
    repeat("render 16 KB", () => jsonBody({ ...parts, data: data16k }))
  ]
}
