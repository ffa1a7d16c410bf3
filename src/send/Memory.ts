/**
 * Counts what all lanes hold in memory, and keeps it within bounds.
 *
 * What does not fit waits in the store, so a bound costs latency and never a delivery.
 */

/** The bounds of what the lanes of one engine hold. */
export interface MemoryOptions {
  /** Deliveries in memory in all, in flight included. 20,000 by default. */
  readonly heldMax?: number
  /** Bytes of their bodies. 64 MiB by default. */
  readonly heldBytesMax?: number
}

/** The memory that lanes share. */
export interface Memory {
  held: number
  heldBytes: number
  inFlight: number
  readonly heldMax: number
  readonly heldBytesMax: number
}

/** Starts counting from nothing. */
export const make = (options: MemoryOptions): Memory => ({
  held: 0,
  heldBytes: 0,
  inFlight: 0,
  heldMax: options.heldMax ?? 20_000,
  heldBytesMax: options.heldBytesMax ?? 64 * 1_048_576
})

/** Tells whether one more delivery of this many bytes fits. */
export const fits = (memory: Memory, bytes: number): boolean =>
  memory.held < memory.heldMax && memory.heldBytes + bytes <= memory.heldBytesMax
