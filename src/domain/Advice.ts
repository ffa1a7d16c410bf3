/**
 * What can be done about an attempt that failed, in one sentence for whoever owns the receiver.
 */
import type { AttemptClass } from "./Attempt.ts"

/** Advises about an attempt of a class that ended with an error; null where nothing is to be done. */
export const advice = (of: AttemptClass, error: string | null): string | null => {
  if (of === "status_2xx") return null
  const known =
    of === "tls" && error !== null ? tlsTexts.find(([reason]) => reason.test(error)) : undefined
  return known?.[1] ?? texts[of]
}

/** What Node and OpenSSL say, in the error of an attempt, of TLS that they refuse. */
const tlsTexts: ReadonlyArray<readonly [reason: RegExp, text: string]> = [
  [/\(CERT_HAS_EXPIRED\)/, "The receiver's certificate is past its end: renew it."],
  [
    /\(CERT_NOT_YET_VALID\)/,
    "The receiver's certificate is not valid yet: check its dates and the clocks of both sides."
  ],
  [
    /\(DEPTH_ZERO_SELF_SIGNED_CERT\)/,
    "The receiver's certificate is signed by itself: get one from a public authority, or name it as " +
      "the webhook's auth.ca."
  ],
  [
    /\((?:SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_ISSUER_CERT_LOCALLY)\)/,
    "The receiver's certificate comes from an unknown authority: get one from a public authority, or " +
      "name that authority as the webhook's auth.ca."
  ],
  [
    /\(UNABLE_TO_VERIFY_LEAF_SIGNATURE\)/,
    "The receiver leaves out a certificate between its own and a known authority: have it send the " +
      "whole chain."
  ],
  [
    /\(ERR_TLS_CERT_ALTNAME_INVALID\)/,
    "The receiver's certificate is for another name: check the host of the URL, and the names in the " +
      "certificate, where a wildcard stands for one label."
  ],
  [
    /certificate key too weak/,
    "The key of the receiver's certificate is too short: use RSA of 2,048 bits or more, or ECDSA."
  ],
  [
    /signature digest algorithm too weak/,
    "The receiver's certificate is signed with SHA-1 or weaker: have it issued anew with SHA-256."
  ],
  [
    /PROTOCOL_VERSION|UNSUPPORTED_PROTOCOL|WRONG_SSL_VERSION/,
    "The receiver speaks no version of TLS from TLS 1.2 on: enable one."
  ],
  [
    /CERTIFICATE_REQUIRED/,
    "The receiver wants a certificate of the sender: set the webhook's auth to mtls."
  ]
]

const texts: { readonly [C in Exclude<AttemptClass, "status_2xx">]: string } = {
  status_3xx: "Redirects are not followed: set the webhook's URL to the address it leads to.",
  status_4xx:
    "The receiver refuses the request: check its path, what it expects of method and headers, and " +
    "the secret with which it verifies.",
  status_410:
    "The receiver says that nothing lives at this URL any more: change the URL, then resume the webhook.",
  status_429:
    "The receiver gets more than it takes: set a rate on the webhook, or raise the receiver's limit.",
  status_5xx:
    "The receiver failed while it handled the request: look for this time in its own logs.",
  dns: "The host name of the URL has no address: check its spelling and its DNS records.",
  refused:
    "Nothing listens at this address and port: check that the receiver runs and that the port is right.",
  reset:
    "The receiver or something before it closed the connection without an answer: check its proxy, " +
    "its limits and whether it crashed.",
  connect_timeout:
    "No connection came about in time: check that firewalls let requests through to this address.",
  tls: "No secure connection came about: check that the certificate is valid, complete and for this host.",
  headers_timeout:
    "The receiver took too long to answer: answer 2xx first and do the work afterwards, or raise " +
    "timeoutMs.",
  body_timeout:
    "The receiver began an answer and did not finish it in time: answer with a short body.",
  deadline: "The attempt took longer than timeoutMs: answer sooner, or raise it.",
  protocol:
    "What came back is no answer of HTTP: check that the port is one of an HTTP server, and https " +
    "not http.",
  blocked:
    "Posthaste may not send this request: the error names the rule; change the webhook, or have the " +
    "address allowed.",
  auth:
    "Posthaste could not get the credentials for this request: check the webhook's auth settings " +
    "and the token server.",
  not_sent:
    "Nothing came of this on Posthaste's own side: there is nothing to be done at the receiver."
}
