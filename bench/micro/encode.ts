/** Ids between their three forms. */
import * as TypeId from "../../src/domain/TypeId.ts"
import { idBytes, repeat, type Task } from "./Samples.ts"

/** Encodes and decodes ids. */
export const encode = async (): Promise<ReadonlyArray<Task>> => {
  const bytes = Array.from({ length: 100 }, (_, i) => idBytes(i))
  const ids = bytes.map((one) => TypeId.fromBytes("message", one))
  const uuids = ids.map((id) => TypeId.toUuid(id))
  return [
    repeat("id from bytes", (i) => TypeId.fromBytes("message", bytes[i]!)),
    repeat("id to UUID", (i) => TypeId.toUuid(ids[i]!)),
    repeat("UUID to id", (i) => TypeId.fromUuid("message", uuids[i]!)),
    repeat("delivery's id of a message", (i) => TypeId.deliveryOf(ids[i]!, i + 1))
  ]
}
