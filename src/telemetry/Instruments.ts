/**
 * Makes metrics of the registry of Effect that are bound once, are listed for the documentation, and
 * show from the start, at zero.
 *
 * **Gotchas** What a metric counted lives in the `Metric.MetricRegistry` of the context, which is one
 * for the whole process unless a test provides another.
 */
import { type Context, Effect, Metric, type Scope } from "effect"

/** A metric as the documentation lists it. */
export interface Listed {
  readonly name: string
  readonly type: "counter" | "gauge" | "histogram"
  /** The name of its label, if it has one. */
  readonly label: string | null
  readonly meaning: string
}

/** A label and all the values that it takes. */
export type Label<Value extends string> = readonly [name: string, values: ReadonlyArray<Value>]

/** Metrics of one name, by the value of their label. */
export type By<Value extends string, M> = { readonly [value in Value]: M }

type Attributes = Metric.Metric.AttributeSet
type Series = Metric.Metric<number, unknown>

const listed: Array<Listed> = []
const known: Array<Series> = []

/** Lists every metric that was made. */
export const all: ReadonlyArray<Listed> = listed

/** Makes every metric show in the registry of the context, at zero until something moves it. */
export const show: Effect.Effect<void> = Effect.contextWith((context: Context.Context<never>) =>
  Effect.sync(() => known.forEach((series) => void series.valueUnsafe(context)))
)

/** Lets a gauge be read where its value is kept, for as long as the scope is open. */
export const reading = (
  gauge: Metric.Gauge<number>,
  read: () => number
): Effect.Effect<void, never, Scope.Scope> =>
  Effect.contextWith((context: Context.Context<never>) =>
    Effect.asVoid(
      Effect.acquireRelease(
        Effect.sync(() =>
          Metric.registerUnsafe(gauge, context, {
            get: () => ({ value: read() }),
            update: nothing,
            modify: nothing
          })
        ),
        (registration) => Effect.sync(() => registration.remove())
      )
    )
  )

const nothing = (): void => {}

/** Makes a counter. */
export const counter = (name: string, meaning: string) =>
  one("counter", name, meaning, makeCounter(name, meaning))

/** Makes a counter for each value of a label. */
export const counters = <Value extends string>(
  name: string,
  meaning: string,
  label: Label<Value>
) => many("counter", name, meaning, label, makeCounter(name, meaning))

/** Makes a counter for each value of a label that turns up; the values are a closed list elsewhere. */
export const countersAsNeeded = (name: string, meaning: string, label: string) => {
  listed.push({ name, type: "counter", label, meaning })
  const make = makeCounter(name, meaning)
  const made = new Map<string, ReturnType<typeof make>>()
  return (value: string) => {
    // A value too many is a mistake of ours, and must not cost memory.
    const shown = made.size < valuesMax || made.has(value) ? value : "other"
    const found = made.get(shown)
    if (found !== undefined) return found
    const counter = make({ [label]: shown })
    made.set(shown, counter)
    return counter
  }
}

/** Makes a gauge. */
export const gauge = (name: string, meaning: string) =>
  one("gauge", name, meaning, makeGauge(name, meaning))

/** Makes a gauge for each value of a label. */
export const gauges = <Value extends string>(name: string, meaning: string, label: Label<Value>) =>
  many("gauge", name, meaning, label, makeGauge(name, meaning))

/** Makes a histogram. */
export const histogram = (name: string, meaning: string, boundaries: ReadonlyArray<number>) =>
  one("histogram", name, meaning, makeHistogram(name, meaning, boundaries))

/** Makes a histogram for each value of a label. */
export const histograms = <Value extends string>(
  name: string,
  meaning: string,
  label: Label<Value>,
  boundaries: ReadonlyArray<number>
) => many("histogram", name, meaning, label, makeHistogram(name, meaning, boundaries))

/** Makes a histogram whose attributes are given as they turn up; their number is bounded elsewhere. */
export const histogramsAsNeeded = (
  name: string,
  meaning: string,
  label: string,
  boundaries: ReadonlyArray<number>
) => {
  listed.push({ name, type: "histogram", label, meaning })
  return makeHistogram(name, meaning, boundaries)
}

const valuesMax = 100

const makeCounter = (name: string, description: string) => (attributes: Attributes) =>
  Metric.counter(name, { description, attributes, incremental: true })

const makeGauge = (name: string, description: string) => (attributes: Attributes) =>
  Metric.gauge(name, { description, attributes })

const makeHistogram =
  (name: string, description: string, boundaries: ReadonlyArray<number>) =>
  (attributes: Attributes) =>
    Metric.histogram(name, { description, attributes, boundaries })

const one = <M extends Series>(
  type: Listed["type"],
  name: string,
  meaning: string,
  make: (attributes: Attributes) => M
): M => {
  listed.push({ name, type, label: null, meaning })
  const metric = make({})
  known.push(metric)
  return metric
}

const many = <Value extends string, M extends Series>(
  type: Listed["type"],
  name: string,
  meaning: string,
  [label, values]: Label<Value>,
  make: (attributes: Attributes) => M
): By<Value, M> => {
  listed.push({ name, type, label, meaning })
  const entries = values.map((value) => [value, make({ [label]: value })] as const)
  known.push(...entries.map(([, metric]) => metric))
  // The type of fromEntries forgets the keys.
  return Object.fromEntries(entries) as By<Value, M>
}
