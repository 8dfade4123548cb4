//! The API over HTTP: for kubectl behind TLS, and for `kube::Client` in the same process without any.

mod accept;
mod discovery;
mod openapi;
