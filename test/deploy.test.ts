/**
 * Holds what is shipped for running Posthaste, in .deploy/, to what it has to be, and to the code.
 */
import { assert, describe, it } from "@effect/vitest"
import { Yaml } from "effect/encoding"
import * as fs from "node:fs"
import * as path from "node:path"
import { version } from "../src/domain/Version.ts"
import { root } from "./support/Sources.ts"

const read = (file: string) => fs.readFileSync(path.join(root, ".deploy", file), "utf8")

// Manifests are looked into by hand here; what they must look like is what the tests say.
// oxlint-disable-next-line typescript/no-explicit-any
type Any = any

/** The documents of a file by their kind. */
const manifests = (file: string): Readonly<Record<string, Any>> =>
  Object.fromEntries(
    read(file)
      .split(/^---$/m)
      .map((text): Any => Yaml.parse(text))
      .map((document) => [document.kind, document])
  )

const files = ["kubernetes/postgres.yaml", "kubernetes/embedded.yaml"]
const settings = new Set(
  fs.readFileSync(path.join(root, "src/Settings.ts"), "utf8").match(/\bPOSTHASTE_[A-Z_]+/g)
)

describe("The manifests for Kubernetes", () => {
  const workloads = files.map((file) => {
    const { Deployment, StatefulSet } = manifests(file)
    return { file, workload: Deployment ?? StatefulSet }
  })

  for (const { file, workload } of workloads) {
    const pod = workload.spec.template.spec
    const [container] = pod.containers

    it(`${file} ends in order, without root, on a root that cannot be written`, () => {
      assert.strictEqual(pod.terminationGracePeriodSeconds, 45)
      assert.deepInclude(pod.securityContext, { runAsNonRoot: true, runAsUser: 65532 })
      assert.strictEqual(pod.securityContext.seccompProfile.type, "RuntimeDefault")
      assert.isFalse(pod.automountServiceAccountToken)
      assert.isTrue(container.securityContext.readOnlyRootFilesystem)
      assert.isFalse(container.securityContext.allowPrivilegeEscalation)
      assert.deepStrictEqual(container.securityContext.capabilities.drop, ["ALL"])
      assert.isString(container.resources.requests.memory)
      assert.isString(container.resources.limits.memory)
    })

    it(`${file} asks the service itself how it is`, () => {
      assert.strictEqual(container.livenessProbe.httpGet.path, "/health/live")
      assert.strictEqual(container.startupProbe.httpGet.path, "/health/live")
      assert.strictEqual(container.readinessProbe.httpGet.path, "/health/ready")
      assert.strictEqual(container.image, `posthaste:${version}`)
      assert.strictEqual(container.ports[0].containerPort, 8400)
    })

    it(`${file} selects the same pods everywhere, and sets what settings there are`, () => {
      const all = manifests(file)
      const labels = workload.spec.template.metadata.labels
      assert.deepStrictEqual(workload.spec.selector.matchLabels, labels)
      assert.deepStrictEqual(all["Service"].spec.selector, labels)
      assert.deepStrictEqual(all["NetworkPolicy"].spec.podSelector.matchLabels, labels)
      for (const { name } of container.env ?? []) assert.isTrue(settings.has(name), name)
      const mounted = container.volumeMounts.map(({ name }: { name: string }) => name)
      const volumes = [
        ...pod.volumes.map(({ name }: { name: string }) => name),
        ...(workload.spec.volumeClaimTemplates ?? []).map((one: Any) => one.metadata.name)
      ]
      assert.sameMembers(mounted, volumes)
    })

    it(`${file} lets nothing out to private networks but names and its database`, () => {
      const { egress } = manifests(file)["NetworkPolicy"].spec
      const blocks = egress.flatMap(({ to }: Any) => to).filter((one: Any) => "ipBlock" in one)
      for (const network of ["10.0.0.0/8", "169.254.0.0/16", "192.168.0.0/16", "172.16.0.0/12"]) {
        assert.include(blocks[0].ipBlock.except, network)
      }
    })
  }

  it("run two replicas on Postgres, that need not wait for each other, and one embedded", () => {
    const { Deployment } = manifests("kubernetes/postgres.yaml")
    assert.strictEqual(Deployment.spec.replicas, 2)
    assert.deepStrictEqual(Deployment.spec.strategy.rollingUpdate, {
      maxSurge: "100%",
      maxUnavailable: "100%"
    })
    const { StatefulSet, PodDisruptionBudget } = manifests("kubernetes/embedded.yaml")
    assert.strictEqual(StatefulSet.spec.replicas, 1)
    assert.deepStrictEqual(StatefulSet.spec.volumeClaimTemplates[0].spec.accessModes, [
      "ReadWriteOnce"
    ])
    assert.strictEqual(PodDisruptionBudget.spec.maxUnavailable, 0)
  })
})

describe("The compose file", () => {
  const { services }: Any = Yaml.parse(read("compose.yaml"))

  it("waits for the database, gives away no privilege, and lets the service end", () => {
    assert.strictEqual(services.posthaste.depends_on.postgres.condition, "service_healthy")
    assert.isTrue(services.posthaste.read_only)
    assert.deepStrictEqual(services.posthaste.cap_drop, ["ALL"])
    assert.strictEqual(services.posthaste.stop_grace_period, "45s")
    assert.strictEqual(services.postgres.healthcheck.test[1], "pg_isready")
  })

  it("sets only settings that there are, and asks for the keys that must be kept", () => {
    const { environment } = services.posthaste
    for (const name of Object.keys(environment)) assert.isTrue(settings.has(name), name)
    assert.match(environment.POSTHASTE_SECRET_KEYS, /^\$\{POSTHASTE_SECRET_KEYS:\?/)
    assert.match(environment.POSTHASTE_ADMIN_KEY, /^\$\{POSTHASTE_ADMIN_KEY:\?/)
  })
})

describe("The Dockerfile", () => {
  const dockerfile = read("Dockerfile")

  it("copies what there is, and all that the package is made of", () => {
    const copied = [...dockerfile.matchAll(/^COPY (?!--from)(.+) \S+$/gm)].flatMap(([, names]) =>
      names!.split(" ")
    )
    for (const name of copied) assert.isTrue(fs.existsSync(path.join(root, name)), name)
    const sent = read("Dockerfile.dockerignore").match(/(?<=^!).+$/gm) ?? []
    assert.sameMembers(copied, sent)
    assert.includeMembers(copied, ["src", "migrations", "package-lock.json"])
  })

  it("runs as nobody, without a shell, ends by SIGTERM and says how it is", () => {
    const last = dockerfile.slice(dockerfile.lastIndexOf("\nFROM "))
    assert.match(last, /distroless/)
    assert.match(last, /^USER 65532:65532$/m)
    assert.match(last, /^STOPSIGNAL SIGTERM$/m)
    assert.notMatch(last, /^RUN /m)
    for (const [, words] of last.matchAll(/^(?:ENTRYPOINT|CMD|\s+CMD) (.*)$/gm)) {
      assert.isArray(JSON.parse(words!))
    }
  })
})
