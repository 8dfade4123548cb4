//! Structural schemas, as kube-apiserver 1.36 applies them to custom resources: compiled once from a definition's
//! `openAPIV3Schema`, then asked for every object. All of it is pure.
//!
//! A body that comes is read by [`body::read`], then [`prune`](Schema::prune)d, [`default`](Schema::default)ed and, when
//! the registry has worked out the object to be stored, [`validate`](Schema::validate)d.

pub mod body;
mod cause;
mod cel_value;
mod change;
mod check;
mod compile;
mod correlate;
mod default;
mod escape;
mod format;
mod functions;
mod lists;
mod node;
mod number;
mod object_meta;
mod path;
mod pattern;
mod printed;
mod prune;
mod resource;
mod rule;
mod sight;
mod types;
mod validate;

use std::fmt::{self, Debug, Formatter};

use kube_cel::cel::Context;
use serde_json::Value;

pub use cause::joined;
pub use compile::SchemaError;
pub use node::{DataType, ListType, MapType, Node};
pub use path::{FieldPath, Step};

use super::{Cause, Object};

pub struct Schema {
    root: Node,
    /// The functions that rules call, and their compiled patterns.
    functions: Context<'static>,
}

impl Schema {
    /// Err: what of it cannot be kept here. A schema is kept whole or not at all.
    pub fn compile(open_api: &Value) -> Result<Self, SchemaError> {
        let mut patterns = Vec::new();
        let root = compile::node(open_api, &mut patterns)?;
        Ok(Self {
            root,
            functions: functions::context(patterns),
        })
    }

    /// For whoever merges or explains objects.
    pub fn root(&self) -> &Node {
        &self.root
    }

    /// Takes out what the schema does not know, and says what that was: `unknown field "spec.foo"`. Takes out, without a
    /// word, a null where none may be.
    pub fn prune(&self, object: &mut Object) -> Vec<FieldPath> {
        let unknown = prune::prune(object.fields_mut(), &self.root);
        prune::drop_nulls(object.fields_mut(), Some(&self.root));
        unknown
    }

    /// Fills in what is missing and has a default; a null with a default counts as missing.
    pub fn default(&self, object: &mut Object) {
        default::default(object.fields_mut(), &self.root);
    }

    /// What is wrong with it, in the API server's order. `old` is what is stored, where it is a change: causes within what
    /// is as it was before are forgotten, and rules that compare both are asked.
    pub fn validate(&self, object: &Object, old: Option<&Object>) -> Vec<Cause> {
        self.validate_after(Vec::new(), object, old)
    }

    /// The same after what was found before, in `metadata`: rules are not asked where a value is missing or too long, and
    /// the last cause says so.
    pub fn validate_after(&self, before: Vec<Cause>, object: &Object, old: Option<&Object>) -> Vec<Cause> {
        let mut causes = before;
        let old_fields = old.map(Object::fields);
        causes.extend(validate::object(&self.root, object.fields(), old_fields));
        causes.extend(resource::validate(&self.root, object.fields()));
        self.finish(causes, object, old)
    }

    /// A write of `status`, of an object whose other fields are the stored ones: only the status is held to its types, but
    /// all rules are asked.
    pub fn validate_status(&self, before: Vec<Cause>, object: &Object, old: &Object) -> Vec<Cause> {
        let mut causes = before;
        if let (Some(status), Some(node)) = (object.fields().get("status"), self.root.field("status")) {
            let old = old.fields().get("status");
            causes.extend(validate::part("status", node, status, old));
        }
        self.finish(causes, object, Some(old))
    }

    fn finish(&self, mut causes: Vec<Cause>, object: &Object, old: Option<&Object>) -> Vec<Cause> {
        let was_twice = old.is_some_and(|old| !lists::validate(&self.root, old.fields()).is_empty());
        if !was_twice {
            causes.extend(lists::validate(&self.root, object.fields()));
        }
        if !self.root.has_rules {
            return causes;
        }
        if causes.iter().any(cause::stops_rules) {
            causes.push(cause::rules_not_checked());
        } else {
            let old = old.map(Object::fields);
            causes.extend(check::check(&self.root, object.fields(), old, &self.functions));
        }
        causes
    }
}

impl Debug for Schema {
    fn fmt(&self, f: &mut Formatter<'_>) -> fmt::Result {
        f.debug_struct("Schema")
            .field("root", &self.root)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
