-- How a webhook's requests say who calls, and its extra headers: sealed by store/KeyRing, as JSON.
-- What headers holds was written before, unsealed; posthaste secrets rotate-keys seals it.

alter table webhook add column auth_sealed bytea, add column headers_sealed bytea;
