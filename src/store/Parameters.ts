/**
 * Parameters of statements in the binary form of the wire, with their types said: one prepared text
 * whatever the number of rows, and arrays of nothing but nulls.
 */
import { PgTypes } from "@effect/sql-pg"
import { Result } from "effect"

type Values<A> = ReadonlyArray<A | null>

const array = (values: Values<unknown>, oid: number): PgTypes.Parameter =>
  Result.getOrThrow(PgTypes.array(values, oid))

/** A `uuid[]`, of UUIDs as SQL prints them. */
export const uuids = (values: Values<string>) => array(values, PgTypes.OID.uuid)
/** A `text[]`. */
export const texts = (values: Values<string>) => array(values, PgTypes.OID.text)
/** A `bytea[]`. */
export const bytes = (values: Values<Uint8Array>) => array(values, PgTypes.OID.bytea)
/** A `boolean[]`. */
export const flags = (values: Values<boolean>) => array(values, PgTypes.OID.bool)
/** An `integer[]`. */
export const ints = (values: Values<number>) => array(values, PgTypes.OID.int4)
/** A `bigint[]`. */
export const longs = (values: Values<number>) =>
  array(
    values.map((value) => (value === null ? null : BigInt(value))),
    PgTypes.OID.int8
  )
/** A `timestamptz[]`, of epoch milliseconds. */
export const instants = (values: Values<number>) => array(values, PgTypes.OID.timestamptz)

/** One `uuid`. */
export const uuid = (value: string) => PgTypes.uuid(value)
/** One `integer`. */
export const int = (value: number) => PgTypes.int4(value)
/** One `bigint`. */
export const long = (value: number) => PgTypes.int8(BigInt(value))
/** One `timestamptz`, of epoch milliseconds. */
export const instant = (value: number) => PgTypes.timestamptz(value)

/**
 * Makes text that Postgres can keep: it has no NUL character and no half of a surrogate pair, so both
 * become U+FFFD.
 */
export const storable = (text: string): string =>
  text.includes("\0") || !text.isWellFormed()
    ? text.toWellFormed().replaceAll("\0", "\uFFFD")
    : text

/** Does the same as `storable` for text that may be missing. */
export const storableOrNull = (text: string | null): string | null =>
  text === null ? null : storable(text)
