//! What a request asks for: path, query and headers, parsed once.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use super::access::{Deed, User};
use super::kind::{Kind, Kinds, Nature, Subresource, Verb};
use super::patch;
use super::selector;
use super::status::{Cause, Status};

/// A request as it is written, before it is known whether anything of the sort is served. Whether it may be done and what is
/// done are both taken from this one reading: two would be two opinions, and the gap between them a way in.
#[derive(Debug, Clone)]
pub struct Asked {
    method: String,
    /// Decoded, as it came: rules for paths are about these very letters.
    written: String,
    path: Path,
    /// None: no verb goes with the method.
    verb: Option<Verb>,
    options: Result<Options, Status>,
}

/// A request for objects.
#[derive(Debug, Clone)]
pub struct Call {
    pub user: User,
    pub kind: Arc<Kind>,
    /// None: cluster-scoped, or across all namespaces.
    pub namespace: Option<String>,
    pub name: Option<String>,
    pub subresource: Option<Subresource>,
    pub verb: Verb,
    pub options: Options,
}

/// What the query says. What Kubernetes knows and we have no use for is not here.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Options {
    /// `All` is the only word that is known.
    pub dry_run: bool,
    dry_run_words: Vec<String>,
    pub field_manager: Option<String>,
    pub field_validation: FieldValidation,
    /// A word that is not known.
    field_validation_word: Option<String>,
    pub force: bool,
    pub label_selector: String,
    pub field_selector: String,
    pub limit: Option<usize>,
    pub go_on: Option<String>,
    pub resource_version: Option<String>,
    pub resource_version_match: Option<VersionMatch>,
    pub resource_version_match_word: Option<String>,
    pub timeout: Option<Duration>,
    pub bookmarks: bool,
    pub send_initial_events: Option<bool>,
    pub propagation: Option<String>,
    pub orphan: Option<bool>,
    pub pretty: bool,
    pub include: Include,
}

/// What of its object a row of a table carries.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Include {
    Nothing,
    #[default]
    Metadata,
    Object,
    Unknown(String),
}

/// What becomes of fields that the schema does not know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum FieldValidation {
    Ignore,
    #[default]
    Warn,
    Strict,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum VersionMatch {
    NotOlderThan,
    Exact,
    /// A word that is not known.
    Other,
}

/// What becomes of the objects that a deleted one owns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Propagation {
    Background,
    Foreground,
    Orphan,
}

/// What a path names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Path {
    Objects {
        group: String,
        version: String,
        plural: String,
        namespace: Option<String>,
        name: Option<String>,
        subresource: Option<String>,
        /// As of old: `/api/v1/watch/...`.
        watched: bool,
    },
    /// Everything else: discovery, OpenAPI, health, version.
    Other(Vec<String>),
}

impl Path {
    /// Takes the parts after `/api/v1` or `/apis/<group>/<version>`; fewer parts are discovery.
    fn parse(path: &str) -> Self {
        let parts: Vec<String> = path
            .split('/')
            .filter(|part| !part.is_empty())
            .map(str::to_owned)
            .collect();
        let words: Vec<&str> = parts.iter().map(String::as_str).collect();
        let (group, version, rest) = match words.as_slice() {
            ["api", version, rest @ ..] if !rest.is_empty() => ("", *version, rest),
            ["apis", group, version, rest @ ..] if !rest.is_empty() => (*group, *version, rest),
            _ => return Self::Other(parts),
        };
        let (watched, rest) = match rest {
            ["watch", rest @ ..] if !rest.is_empty() => (true, rest),
            rest => (false, rest),
        };
        // `/api/v1/namespaces/x/secrets` is below a namespace; `/api/v1/namespaces/x/status` is the namespace's own.
        let (namespace, rest) = match rest {
            ["namespaces", namespace, below, after @ ..] if !matches!(*below, "status" | "finalize") => {
                let rest: Vec<&str> = std::iter::once(*below).chain(after.iter().copied()).collect();
                (Some((*namespace).to_owned()), rest)
            }
            _ => (None, rest.to_vec()),
        };
        let objects = |plural: &str, name: Option<&str>, subresource: Option<&str>| Self::Objects {
            group: group.to_owned(),
            version: version.to_owned(),
            plural: plural.to_owned(),
            namespace,
            name: name.map(str::to_owned),
            subresource: subresource.map(str::to_owned),
            watched,
        };
        match rest.as_slice() {
            [plural] => objects(plural, None, None),
            [plural, name] => objects(plural, Some(name), None),
            [plural, name, subresource @ ..] => objects(plural, Some(name), Some(&subresource.join("/"))),
            _ => Self::Other(parts),
        }
    }
}

impl Call {
    /// Err: nothing of the sort is served, or not by this method.
    pub fn of(kinds: &Kinds, user: User, asked: Asked) -> Result<Self, Status> {
        let Asked {
            method,
            written: _,
            path,
            verb,
            options,
        } = asked;
        let method = method.as_str();
        let Path::Objects {
            group,
            version,
            plural,
            namespace,
            mut name,
            subresource,
            watched,
        } = path
        else {
            return Err(Status::no_such_resource());
        };
        let kind = kinds
            .find(&group, &version, &plural)
            .ok_or_else(Status::no_such_resource)?;
        // `/api/v1/secrets/x` names no object: a namespaced one is below its namespace; nor has a cluster's kind any.
        let misplaced = if kind.is_namespaced() {
            namespace.is_none() && name.is_some()
        } else {
            namespace.is_some()
        };
        if misplaced {
            return Err(Status::no_such_resource());
        }
        let subresource = match &subresource {
            None => None,
            Some(asked) => Some(
                kind.subresources
                    .iter()
                    .copied()
                    .find(|served| served.name() == asked)
                    .ok_or_else(|| match (kind.nature, &name) {
                        (Nature::Custom, Some(name)) => Status::not_found(kind, name),
                        _ => Status::no_such_resource(),
                    })?,
            ),
        };
        let mut options = options?;
        // There is no such route to Kubernetes' own kinds; at a custom one any method watches, as the deed says.
        if watched && !reads_by(method) && kind.nature != Nature::Custom {
            return Err(Status::method_not_allowed());
        }
        if let Some(name) = name.as_deref()
            && let Some(why) = unspeakable(name)
        {
            return Err(Status::bad_request(format!(
                "Name parameter invalid: {name:?}: {why}"
            )));
        }
        if watched && let Some(name) = name.take() {
            options.watch_one(&name)?;
        }
        if method == "HEAD" && kind.nature != Nature::Custom {
            return Err(Status::method_not_allowed());
        }
        if name.is_some() && matches!(kind.nature, Nature::Review(_)) {
            return Err(Status::no_such_resource());
        }
        if kind.nature == Nature::Custom
            && matches!(verb, Some(Verb::Update | Verb::Patch))
            && name.is_none()
            && namespace.is_some()
        {
            return Err(Status::bad_request("name must be provided"));
        }
        let nameless = matches!(verb, Some(Verb::Update | Verb::Patch)) && name.is_none();
        let verb = verb
            .filter(|_| !nameless)
            .ok_or_else(Status::method_not_allowed)?;
        let offered = match subresource {
            None => kind.offers(verb) && (namespace.is_some() || !kind.is_namespaced() || reads(verb)),
            Some(Subresource::Status) => matches!(verb, Verb::Get | Verb::Patch | Verb::Update),
            Some(Subresource::Finalize) => verb == Verb::Update,
            Some(Subresource::Token) => verb == Verb::Create,
        };
        // A subresource is posted to below a name; an object is not.
        let posted_to_a_name =
            verb == Verb::Create && name.is_some() != subresource.is_some() && kind.nature != Nature::Custom;
        if !offered || posted_to_a_name {
            return Err(if kind.nature == Nature::Custom {
                Status::not_supported(kind, verb.name())
            } else {
                Status::method_not_allowed()
            });
        }
        Ok(Self {
            user,
            kind: Arc::clone(kind),
            namespace,
            name,
            subresource,
            verb,
            options,
        })
    }
}

impl Asked {
    pub fn read(method: &str, path: &str, query: &str) -> Self {
        let written = decoded(path);
        let path = Path::parse(&written);
        let mut watch = false;
        let options = Options::parse(query, &mut watch);
        let verb = match &path {
            // Whatever the method: it is refused later where it does not read.
            Path::Objects { watched: true, .. } => Some(Verb::Watch),
            Path::Objects { name, .. } => verb(method, name.is_some(), watch),
            Path::Other(_) => None,
        };
        Self {
            method: method.to_owned(),
            written,
            path,
            verb,
            options,
        }
    }

    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is done there, whether it is served or not: who may not do it is not told.
    pub fn deed(&self) -> Deed {
        let (group, plural, namespace, name, subresource) = match &self.path {
            Path::Objects {
                group,
                version: _,
                plural,
                namespace,
                name,
                subresource,
                watched: _,
            } => (group, plural, namespace, name, subresource),
            Path::Other(_) => {
                return Deed::Path {
                    verb: self.method.to_lowercase(),
                    path: self.written.clone(),
                };
            }
        };
        Deed::Objects {
            verb: self.verb.map(|verb| verb.name().to_owned()).unwrap_or_default(),
            group: group.clone(),
            resource: match subresource.as_deref().and_then(|below| below.split('/').next()) {
                Some(subresource) => format!("{plural}/{subresource}"),
                None => plural.clone(),
            },
            // A namespace itself is judged as within it.
            namespace: if plural == "namespaces" {
                name.clone()
            } else {
                namespace.clone()
            },
            name: name.clone().or_else(|| self.selected_name()),
        }
    }

    /// A look at those of one name is about that name. What writes is never about less than it may reach, and a watched path
    /// has no selector to go by.
    fn selected_name(&self) -> Option<String> {
        let watched = matches!(self.path, Path::Objects { watched: true, .. });
        let looks = matches!(self.verb, Some(Verb::List | Verb::Watch)) && !watched;
        let options = self.options.as_ref().ok().filter(|_| looks)?;
        let name = selector::exact_name(&options.field_selector)?;
        (!name.contains('/') && unspeakable(&name).is_none()).then_some(name)
    }
}

fn reads_by(method: &str) -> bool {
    matches!(method, "GET" | "HEAD")
}

impl Call {
    /// To make what a change found missing.
    pub fn creation(&self) -> Deed {
        let Self {
            user: _,
            kind,
            namespace,
            name,
            subresource,
            verb: _,
            options: _,
        } = self;
        let plural = &kind.names.plural;
        Deed::Objects {
            verb: Verb::Create.name().to_owned(),
            group: kind.group.clone(),
            resource: match subresource {
                Some(subresource) => format!("{plural}/{}", subresource.name()),
                None => plural.clone(),
            },
            namespace: if kind.nature == Nature::Namespace {
                name.clone()
            } else {
                namespace.clone()
            },
            name: name.clone(),
        }
    }
}

impl Options {
    /// The name is in the path; a selector beside it must be about the same one.
    fn watch_one(&mut self, name: &str) -> Result<(), Status> {
        if self.field_selector.is_empty() {
            self.field_selector = selector::of_name(name);
            return Ok(());
        }
        if selector::exact_name(&self.field_selector).as_deref() == Some(name) {
            return Ok(());
        }
        Err(Status::bad_request(
            "fieldSelector metadata.name doesn't match requested name",
        ))
    }
}

/// Across namespaces one may look, not write.
fn reads(verb: Verb) -> bool {
    match verb {
        Verb::Get | Verb::List | Verb::Watch => true,
        Verb::Create | Verb::Delete | Verb::DeleteCollection | Verb::Patch | Verb::Update => false,
    }
}

fn verb(method: &str, named: bool, watch: bool) -> Option<Verb> {
    match (method, named) {
        ("GET" | "HEAD", true) => Some(Verb::Get),
        ("GET" | "HEAD", false) if watch => Some(Verb::Watch),
        ("GET" | "HEAD", false) => Some(Verb::List),
        ("POST", _) => Some(Verb::Create),
        ("PUT", _) => Some(Verb::Update),
        ("PATCH", _) => Some(Verb::Patch),
        ("DELETE", true) => Some(Verb::Delete),
        ("DELETE", false) => Some(Verb::DeleteCollection),
        _ => None,
    }
}

impl Options {
    fn parse(query: &str, watch: &mut bool) -> Result<Self, Status> {
        let mut options = Self::default();
        // Read first: a list that cannot be understood for another reason is still a watch.
        for (_, value) in url::form_urlencoded::parse(query.as_bytes())
            .filter(|(key, _)| key == "watch")
            .take(1)
        {
            *watch = is_yes(&value);
        }
        let mut seen = BTreeSet::new();
        for (key, value) in url::form_urlencoded::parse(query.as_bytes()) {
            // What is said twice counts as it was said first.
            if key != "dryRun" && !seen.insert(key.clone()) {
                continue;
            }
            let yes = || is_yes(&value);
            match key.as_ref() {
                "dryRun" => {
                    options.dry_run = true;
                    options.dry_run_words.push(value.into_owned());
                }
                "fieldManager" if !value.is_empty() => options.field_manager = Some(value.into_owned()),
                "fieldValidation" => {
                    options.field_validation = match value.as_ref() {
                        "Ignore" => FieldValidation::Ignore,
                        "" | "Warn" => FieldValidation::Warn,
                        "Strict" => FieldValidation::Strict,
                        other => {
                            options.field_validation_word = Some(other.to_owned());
                            FieldValidation::Warn
                        }
                    };
                }
                "force" => options.force = yes(),
                "labelSelector" => options.label_selector = value.into_owned(),
                "fieldSelector" => options.field_selector = value.into_owned(),
                "limit" => {
                    options.limit = number(&value)?
                        .and_then(|limit| usize::try_from(limit).ok())
                        .filter(|limit| *limit > 0);
                }
                "continue" if !value.is_empty() => options.go_on = Some(value.into_owned()),
                "resourceVersion" if !value.is_empty() => options.resource_version = Some(value.into_owned()),
                "resourceVersionMatch" => {
                    options.resource_version_match = match value.as_ref() {
                        "" => None,
                        "NotOlderThan" => Some(VersionMatch::NotOlderThan),
                        "Exact" => Some(VersionMatch::Exact),
                        _ => Some(VersionMatch::Other),
                    };
                    options.resource_version_match_word =
                        options.resource_version_match.map(|_| value.into_owned());
                }
                "timeoutSeconds" => {
                    options.timeout = number(&value)?
                        .and_then(|seconds| u64::try_from(seconds).ok())
                        .filter(|seconds| *seconds > 0)
                        .map(Duration::from_secs);
                }
                "allowWatchBookmarks" => options.bookmarks = yes(),
                "sendInitialEvents" => options.send_initial_events = Some(yes()),
                "propagationPolicy" => options.propagation = Some(value.into_owned()),
                "orphanDependents" => options.orphan = Some(yes()),
                "gracePeriodSeconds" => {
                    number(&value)?;
                }
                "includeObject" => {
                    options.include = match value.as_ref() {
                        "None" => Include::Nothing,
                        "Object" => Include::Object,
                        "" | "Metadata" => Include::Metadata,
                        _ => Include::Unknown(value.into_owned()),
                    };
                }
                "pretty" => options.pretty = matches!(value.as_ref(), "true" | "1" | "True"),
                // Unknown options are ignored, as the API server does.
                _ => {}
            }
        }
        Ok(options)
    }
}

impl Options {
    /// Whether a write may be asked for like this. Looked at when it is known that the user may ask at all.
    pub fn check(&self, verb: Verb) -> Result<(), Status> {
        let name = match verb {
            Verb::Create => "CreateOptions",
            Verb::Update => "UpdateOptions",
            Verb::Patch => "PatchOptions",
            // Theirs may be in the body, too.
            Verb::Delete | Verb::DeleteCollection | Verb::Get | Verb::List | Verb::Watch => return Ok(()),
        };
        let mut causes = Vec::new();
        if verb != Verb::Patch {
            let manager = self.field_manager.as_deref().unwrap_or_default();
            for (reason, message) in patch::wrong_with_manager(manager) {
                causes.push(Cause {
                    reason,
                    message,
                    field: "fieldManager".to_owned(),
                });
            }
        }
        causes.extend(wrong_dry_run(&self.dry_run_words));
        if let Some(word) = &self.field_validation_word {
            const KNOWN: [&str; 4] = ["", "Ignore", "Strict", "Warn"];
            causes.push(Cause::unsupported(
                "fieldValidation",
                &format!("{word:?}"),
                &KNOWN,
            ));
        }
        if causes.is_empty() {
            return Ok(());
        }
        Err(Status::invalid_options(name, causes))
    }

    pub(super) fn wrong_dry_run(&self) -> Option<Cause> {
        wrong_dry_run(&self.dry_run_words)
    }
}

/// What is wrong with the words of a dry run.
pub(super) fn wrong_dry_run(words: &[String]) -> Option<Cause> {
    let wrong = words.iter().any(|word| word != "All");
    wrong.then(|| Cause::unsupported("dryRun", &format!("{words:?}"), &["All"]))
}

impl Propagation {
    pub fn parse(word: &str) -> Option<Self> {
        match word {
            "Background" => Some(Self::Background),
            "Foreground" => Some(Self::Foreground),
            "Orphan" => Some(Self::Orphan),
            _ => None,
        }
    }
}

/// All but these two words say yes, and so does none.
fn is_yes(value: &str) -> bool {
    value != "0" && !value.eq_ignore_ascii_case("false")
}

fn number(value: &str) -> Result<Option<i64>, Status> {
    if value.is_empty() {
        return Ok(None);
    }
    match value.parse() {
        Ok(number) => Ok(Some(number)),
        Err(_) => Err(Status::bad_request(format!(
            "strconv.ParseInt: parsing \"{value}\": invalid syntax"
        ))),
    }
}

/// What no name in a path may be.
fn unspeakable(name: &str) -> Option<String> {
    match name {
        "." | ".." => Some(format!("may not be '{name}'")),
        name if name.contains('%') => Some("may not contain '%'".to_owned()),
        _ => None,
    }
}

pub(super) fn decoded(part: &str) -> String {
    percent_encoding::percent_decode_str(part)
        .decode_utf8_lossy()
        .into_owned()
}

#[cfg(test)]
mod tests {
    use std::sync::LazyLock;

    use super::*;
    use crate::control_plane::kinds;

    fn call(method: &str, path: &str, query: &str) -> Result<Call, u16> {
        static KINDS: LazyLock<Kinds> =
            LazyLock::new(|| kinds::served(&crate::resource::definitions()).unwrap());
        Call::of(&KINDS, User::admin(), Asked::read(method, path, query)).map_err(|status| status.code)
    }

    fn deed(method: &str, path: &str, query: &str) -> (String, Option<String>) {
        match Asked::read(method, path, query).deed() {
            Deed::Objects { verb, name, .. } => (verb, name),
            Deed::Path { verb, path } => (verb, Some(path)),
        }
    }

    #[test]
    fn a_watched_path_is_watched_whatever_the_method_and_only_read() {
        for (path, written) in [
            ("/api/v1/watch/namespaces/n/secrets", Err(405)),
            ("/api/v1/watch/namespaces/n/secrets/x", Err(405)),
            (
                "/apis/quartermaster.dev/v1alpha1/watch/namespaces/n/agents",
                Ok(Verb::Watch),
            ),
            (
                "/apis/quartermaster.dev/v1alpha1/watch/namespaces/n/agents/x",
                Ok(Verb::Watch),
            ),
        ] {
            for method in ["POST", "PUT", "PATCH", "DELETE"] {
                assert_eq!(deed(method, path, "").0, "watch", "{method} {path}");
                let done = call(method, path, "").map(|call| call.verb);
                assert_eq!(done, written, "{method} {path}");
            }
            assert_eq!(call("GET", path, "").unwrap().verb, Verb::Watch, "{path}");
        }
    }

    #[test]
    fn a_selector_names_one_object_only_where_it_leaves_no_other() {
        const SECRETS: &str = "/api/v1/namespaces/n/secrets";
        let named = |method: &str, selector: &str| {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            deed(
                method,
                SECRETS,
                &query.append_pair("fieldSelector", selector).finish(),
            )
            .1
        };
        let a = || Some("a".to_owned());
        assert_eq!(named("GET", "metadata.name=a"), a());
        assert_eq!(named("GET", "type!=x,metadata.name==a"), a());
        for other in [
            r"type!=x\,metadata.name=a",
            "metadata.name!=a",
            "metadata.name=",
            "metadata.name=a/b",
            "metadata.name=..",
            r"metadata.name=a\b",
            "metadata.name=a,x",
        ] {
            assert_eq!(named("GET", other), None, "{other}");
        }
        for method in ["POST", "PUT", "PATCH", "DELETE"] {
            assert_eq!(named(method, "metadata.name=a"), None, "{method}");
        }
        assert_eq!(deed("DELETE", SECRETS, "").0, "deletecollection");
        let watched = "/api/v1/watch/namespaces/n/secrets";
        assert_eq!(deed("GET", watched, "fieldSelector=metadata.name%3Da").1, None);
        let one = "/api/v1/watch/namespaces/n/secrets/a";
        assert_eq!(deed("GET", one, "fieldSelector=metadata.name%3Db").1, a());
        assert_eq!(
            call("GET", one, "fieldSelector=metadata.name%3Db").err(),
            Some(400)
        );
    }

    #[test]
    fn what_is_asked_twice_counts_once() {
        let query = "watch=0&watch=1&fieldSelector=metadata.name%3Da&fieldSelector=";
        let path = "/api/v1/namespaces/n/secrets";
        let call = call("GET", path, query).unwrap();
        assert_eq!(
            (call.verb, call.options.field_selector.as_str()),
            (Verb::List, "metadata.name=a")
        );
        assert_eq!(
            deed("GET", path, query),
            ("list".to_owned(), Some("a".to_owned()))
        );
        assert_eq!(deed("GET", path, "limit=x&watch=1").0, "watch");
    }

    #[test]
    fn paths_name_objects() {
        for (method, path, query, verb, namespace, name) in [
            ("GET", "/api/v1/secrets", "", Verb::List, None, None),
            (
                "GET",
                "/api/v1/namespaces/n/secrets",
                "watch=true",
                Verb::Watch,
                Some("n"),
                None,
            ),
            ("GET", "/api/v1/namespaces/n", "", Verb::Get, None, Some("n")),
            (
                "PUT",
                "/api/v1/namespaces/n/finalize",
                "",
                Verb::Update,
                None,
                Some("n"),
            ),
            (
                "POST",
                "/apis/quartermaster.dev/v1alpha1/namespaces/n/agents",
                "",
                Verb::Create,
                Some("n"),
                None,
            ),
            (
                "PATCH",
                "/apis/quartermaster.dev/v1alpha1/namespaces/n/agents/a/status",
                "",
                Verb::Patch,
                Some("n"),
                Some("a"),
            ),
            (
                "DELETE",
                "/apis/quartermaster.dev/v1alpha1/namespaces/n/agents",
                "",
                Verb::DeleteCollection,
                Some("n"),
                None,
            ),
            (
                "POST",
                "/api/v1/namespaces/n/serviceaccounts/x/token",
                "",
                Verb::Create,
                Some("n"),
                Some("x"),
            ),
        ] {
            let call = call(method, path, query).unwrap_or_else(|code| panic!("{path}: {code}"));
            assert_eq!(call.verb, verb, "{path}");
            assert_eq!(call.namespace.as_deref(), namespace, "{path}");
            assert_eq!(call.name.as_deref(), name, "{path}");
        }
    }

    #[test]
    fn what_is_not_served_is_not_found_or_not_allowed() {
        for (method, path, code) in [
            ("GET", "/api/v1/pods", 404),
            ("GET", "/api/v2/secrets", 404),
            ("GET", "/api/v1/secrets/x", 404),
            ("GET", "/api/v1/namespaces/n/secrets/x/status", 404),
            (
                "GET",
                "/apis/quartermaster.dev/v1alpha1/namespaces/n/agents/a/b/c",
                404,
            ),
            ("POST", "/api/v1/namespaces/n/secrets/x", 405),
            ("DELETE", "/api/v1/namespaces", 405),
            (
                "POST",
                "/apis/apiextensions.k8s.io/v1/customresourcedefinitions",
                405,
            ),
            ("GET", "/apis/authorization.k8s.io/v1/subjectaccessreviews", 405),
            ("DELETE", "/apis/quartermaster.dev/v1alpha1/agents", 405),
        ] {
            assert_eq!(call(method, path, "").err(), Some(code), "{method} {path}");
        }
    }
}
