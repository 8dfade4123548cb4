//! A kubeconfig of one user of one cluster, complete in itself: no path in it that can be wrong elsewhere.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

pub fn kubeconfig(server: &str, authority_pem: &str, user: &str, token: &str, namespace: &str) -> String {
    let authority = STANDARD.encode(authority_pem);
    format!(
        "apiVersion: v1
kind: Config
current-context: bed
clusters:
- name: bed
  cluster:
    server: {server}
    certificate-authority-data: {authority}
users:
- name: {user}
  user:
    token: {token}
contexts:
- name: bed
  context:
    cluster: bed
    user: {user}
    namespace: {namespace}
"
    )
}
