//! Every name that we put on other people's objects, or read from them, in one place: whoever greps a cluster for
//! `quartermaster.dev/` should find its meaning here.

/// The API group of all our kinds.
pub const GROUP: &str = "quartermaster.dev";
/// The one version that is served.
pub const VERSION: &str = "v1alpha1";
/// `kubectl get openclaw` lists every kind of this category.
pub const CATEGORY: &str = "openclaw";

/// Who we are in `metadata.managedFields`.
pub const FIELD_MANAGER: &str = "quartermaster";
/// Holds an object while something of it must be cleaned up in a gateway.
pub const FINALIZER: &str = "quartermaster.dev/gateway-cleanup";

/// Any new value asks for a pass now; answered in `status.lastHandledRequest`.
pub const RECONCILE_AT: &str = "quartermaster.dev/reconcile-at";
/// The same wish in Flux's words (`flux reconcile`); answered in `status.lastHandledReconcileAt`.
pub const FLUX_REQUESTED_AT: &str = "reconcile.fluxcd.io/requestedAt";
/// `"true"` lets go of an object whose gateway is gone for good. An Event says what was left behind.
pub const FORCE_DELETE: &str = "quartermaster.dev/force-delete";

/// Marks a ConfigMap as a souls directory: each key is a soul that `soul: {role: true}` may pick.
pub const SOULS_LABEL: &str = "quartermaster.dev/souls";
/// On what we create: the Gateway, Board and Agent it belongs to, and the role of that agent.
pub const GATEWAY_LABEL: &str = "quartermaster.dev/gateway";
pub const BOARD_LABEL: &str = "quartermaster.dev/board";
pub const AGENT_LABEL: &str = "quartermaster.dev/agent";
pub const ROLE_LABEL: &str = "quartermaster.dev/role";
/// On a Gateway's main agent: what of `spec.mainAgent` it was made from.
pub const APPLIED: &str = "quartermaster.dev/applied";
/// The customary label that says whose tool made an object; its value is [`FIELD_MANAGER`].
pub const MANAGED_BY_LABEL: &str = "app.kubernetes.io/managed-by";

/// On a token Secret: the word of spec.token.rotation and the uid of the TemplateSync that were heard last, when `token` came
/// into force, and until when `previous` is still accepted.
pub const TOKEN_ROTATION: &str = "quartermaster.dev/rotation";
pub const TOKEN_ROTATION_SYNC: &str = "quartermaster.dev/rotation-sync";
pub const TOKEN_ROTATED_AT: &str = "quartermaster.dev/rotated-at";
pub const TOKEN_PREVIOUS_UNTIL: &str = "quartermaster.dev/previous-until";
/// On the Secret with what an agent had made of its files: the TemplateSync that wrote over them.
pub const SYNC: &str = "quartermaster.dev/sync";
/// Keys of a token Secret. `token` is also the default key of a gateway's own Secret.
pub const TOKEN_KEY: &str = "token";
pub const TOKEN_NEXT_KEY: &str = "next";
pub const TOKEN_PREVIOUS_KEY: &str = "previous";
