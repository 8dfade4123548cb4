//! The gateway behind a TLS front: whose certificates are believed, and what is said of those that are not.

use super::Line;
use crate::bed::{Flaw, Gateway, OpenClaw, TlsProxy, eventually, evidence, shared_cluster};

#[test]
fn an_authority_is_trusted_from_the_moment_it_is_named() {
    let cluster = real!(shared_cluster());
    let gateway = real!(OpenClaw::start(Gateway::version("2026.9.6")));
    let front = TlsProxy::start(gateway.port(), Flaw::None);
    let stranger = TlsProxy::start(gateway.port(), Flaw::None);
    let line = Line::start(cluster, "authority");
    let mut noticed = 0;
    let mut step = |what: &str| {
        noticed += 1;
        evidence::say(&format!("noticed: {what}"));
    };

    line.token("harbour", gateway.token());
    line.gateway("harbour", &front.url(), "");
    let message = line.until("harbour", "Reachable", "False", "TlsUnknownAuthority");
    assert!(message.contains("spec.caBundleRef"), "{message}");
    line.until("harbour", "Stalled", "True", "TlsUnknownAuthority");
    line.until("harbour", "TlsVerified", "False", "TlsUnknownAuthority");
    assert_eq!(line.condition("harbour", "Authenticated").unwrap().1, "NotTried");
    step("an authority that nobody named");

    line.patch(
        "harbour",
        r#"{"caBundleRef":{"kind":"ConfigMap","name":"ca","key":"ca.crt"}}"#,
    );
    let message = line.until("harbour", "Reachable", "False", "CaBundleNotFound");
    assert!(message.contains("/ca does not exist"), "{message}");
    line.until("harbour", "Reconciling", "True", "CaBundleNotFound");
    step("a missing ConfigMap");

    bundle(&line, "ConfigMap", "tls.crt", front.authority_pem());
    eventually("the message names the missing key", 30, || {
        let (_, reason, message) = line.condition("harbour", "Reachable")?;
        (reason == "CaBundleNotFound" && message.contains("no key ca.crt (it has tls.crt)")).then_some(())
    });
    step("a missing key");

    bundle(&line, "ConfigMap", "ca.crt", "no certificate at all\n");
    let message = line.until("harbour", "Stalled", "True", "CaBundleInvalid");
    assert!(message.contains("holds no PEM certificate"), "{message}");
    step("a bundle that is none");

    bundle(&line, "ConfigMap", "ca.crt", stranger.authority_pem());
    line.until("harbour", "Stalled", "True", "TlsUnknownAuthority");
    step("the wrong authority");

    for round in ["put in", "put in again"] {
        bundle(&line, "ConfigMap", "ca.crt", front.authority_pem());
        line.until_connected("harbour");
        line.until("harbour", "TlsVerified", "True", "CertificateVerified");
        step(&format!("the right authority is {round}"));

        bundle(&line, "ConfigMap", "ca.crt", stranger.authority_pem());
        line.until("harbour", "Stalled", "True", "TlsUnknownAuthority");
        step("an open connection is no longer trusted");
    }

    bundle(&line, "Secret", "bundle", front.authority_pem());
    line.patch(
        "harbour",
        r#"{"caBundleRef":{"kind":"Secret","name":"ca","key":"bundle"}}"#,
    );
    line.until_connected("harbour");
    step("the authority is in a Secret");

    line.must(&["delete", "secret", "ca"]);
    line.until("harbour", "Reachable", "False", "CaBundleNotFound");
    step("the Secret is gone");

    line.patch("harbour", r#"{"allowInsecureTls":true}"#);
    line.until_connected("harbour");
    line.until("harbour", "TlsVerified", "False", "CertificateNotVerified");
    step("allowInsecureTls");

    line.patch("harbour", r#"{"allowInsecureTls":false,"caBundleRef":null}"#);
    line.until("harbour", "Stalled", "True", "TlsUnknownAuthority");
    step("and no longer");
    assert!(
        !line.operator.log().contains(gateway.token()),
        "the log shows the token"
    );
    evidence::record(
        "thin line",
        "changes of TLS trust that are noticed",
        noticed,
        "without a restart",
    );
}

#[test]
fn a_certificate_that_is_wrong_is_told_apart() {
    let cluster = real!(shared_cluster());
    let gateway = real!(OpenClaw::start(Gateway::version("2026.9.6")));
    let line = Line::start(cluster, "certificate");
    let fronts = [
        (Flaw::None, "good", "Connected", ""),
        (Flaw::WrongName, "name", "TlsWrongName", "for another name"),
        (Flaw::Expired, "expired", "TlsExpired", "has expired"),
        (
            Flaw::UnknownAuthority,
            "stranger",
            "TlsUnknownAuthority",
            "not trusted",
        ),
    ]
    .map(|(flaw, name, reason, words)| (TlsProxy::start(gateway.port(), flaw), name, reason, words));
    for (front, name, ..) in &fronts {
        line.token(name, gateway.token());
        line.must(&[
            "create",
            "configmap",
            name,
            &format!("--from-literal=ca.crt={}", front.authority_pem()),
        ]);
        let bundle = format!("caBundleRef: {{kind: ConfigMap, name: {name}, key: ca.crt}}");
        line.gateway(name, &front.url(), &bundle);
    }
    for (_, name, reason, words) in &fronts {
        if *reason == "Connected" {
            line.until_connected(name);
            continue;
        }
        let message = line.until(name, "Reachable", "False", reason);
        assert!(message.contains(words), "{message}");
        line.until(name, "Ready", "False", reason);
        line.until(name, "Stalled", "True", reason);
        line.until(name, "TlsVerified", "False", reason);
    }
    // Whatever is wrong with it, `allowInsecureTls` does not look.
    for (_, name, ..) in &fronts {
        line.patch(name, r#"{"allowInsecureTls":true}"#);
        line.until_connected(name);
        line.until(name, "TlsVerified", "False", "CertificateNotVerified");
    }
    evidence::record(
        "thin line",
        "wrong certificates are told apart",
        fronts.len() as u64 - 1,
        "name, age, authority",
    );
}

#[test]
fn ws_and_wss_mixed_up_are_told_apart() {
    let cluster = real!(shared_cluster());
    let gateway = real!(OpenClaw::start(Gateway::version("2026.9.6")));
    let front = TlsProxy::start(gateway.port(), Flaw::None);
    let line = Line::start(cluster, "scheme");
    let cases = [
        (
            "secure",
            format!("wss://127.0.0.1:{}", gateway.port()),
            "TlsNotSpoken",
            "use ws://",
        ),
        (
            "plain",
            format!("ws://127.0.0.1:{}", front.port()),
            "NotAGateway",
            "scheme",
        ),
    ];
    for (name, url, ..) in &cases {
        line.token(name, gateway.token());
        line.gateway(name, url, "");
    }
    for (name, _, reason, words) in &cases {
        let message = line.until(name, "Reachable", "False", reason);
        assert!(message.contains(words), "{message}");
        line.until(name, "Ready", "False", reason);
    }
    line.patch("secure", &format!("{{\"url\":\"{}\"}}", gateway.url()));
    line.until_connected("secure");
    evidence::record("thin line", "ws:// and wss:// mixed up are told apart", 2, "");
}

/// Writes the ConfigMap or Secret `ca` with this one key.
fn bundle(line: &Line<'_>, kind: &str, key: &str, text: &str) {
    let (field, indented) = (
        if kind == "Secret" { "stringData" } else { "data" },
        text.lines()
            .map(|line| format!("    {line}\n"))
            .collect::<String>(),
    );
    line.apply(&format!(
        "apiVersion: v1\nkind: {kind}\nmetadata: {{name: ca}}\n{field}:\n  {key}: |\n{indented}"
    ));
}
