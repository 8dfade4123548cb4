//! The API over HTTP, as one `tower::Service`: behind TLS for kubectl, and without any for a `kube::Client` in the same
//! process.

mod accept;
mod answer;
mod backup;
mod discovery;
pub mod listen;
mod openapi;
mod patience;
mod protobuf;
mod read_body;
mod room;
mod show;
mod warnings;
mod watch;

use std::convert::Infallible;
use std::future::Future;
use std::pin::Pin;
use std::task::{Context, Poll};

use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use serde_json::{Value, json};

use super::ControlPlane;
use super::access::{Deed, User};
use super::act_as::Wanted;
use super::call::{Asked, Call, Include, Path, decoded};
use super::kind::{Nature, Subresource, Verb};
use super::object::Object;
use super::objects::{Deleted, Sent, Shown};
use super::patch::{self, Patch};
use super::registry::{self, DeleteOptions};
use super::schema::body::{self, BodyError};
use super::status::Status;
use accept::Form;
use read_body::ReadBody;
use room::Room;
use warnings::warn;

/// Answers requests, each for the holder of its token; or, in the same process, all for one user.
#[derive(Clone)]
pub struct Service {
    control_plane: ControlPlane,
    user: Option<User>,
    /// Shared by all who ask this one.
    room: Room,
}

impl ControlPlane {
    /// For requests that carry a token.
    pub fn service(&self) -> Service {
        Service {
            control_plane: self.clone(),
            user: None,
            room: Room::empty(),
        }
    }

    /// For one user in the same process, who needs no token.
    pub fn service_for(&self, user: User) -> Service {
        Service {
            control_plane: self.clone(),
            user: Some(user),
            room: Room::empty(),
        }
    }

    /// A client in the same process, as the administrator.
    pub fn client(&self, namespace: &str) -> kube::Client {
        kube::Client::new(self.service_for(User::admin()), namespace.to_owned())
    }
}

impl<B> tower::Service<Request<B>> for Service
where
    B: axum::body::HttpBody<Data = Bytes> + Send + 'static,
    B::Error: Into<axum::BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<B>) -> Self::Future {
        let service = self.clone();
        Box::pin(async move {
            let (head, body) = request.into_parts();
            let answer = service.answer(&head, Body::new(body)).await;
            Ok(answer.unwrap_or_else(|status| refusal(&status)))
        })
    }
}

impl Service {
    async fn answer(&self, head: &axum::http::request::Parts, body: Body) -> Result<Response<Body>, Status> {
        let query = head.uri.query().unwrap_or_default();
        let asked = Asked::read(head.method.as_str(), head.uri.path(), query);
        let deed = asked.deed();
        let user = self.user(&head.headers)?;
        let user = self.control_plane.act_as(user, &wanted(&head.headers), &deed)?;
        if let Path::Other(parts) = asked.path() {
            self.check_path(&user, &deed)?;
            if *parts == backup::PATH {
                return self.backup(head).await;
            }
            return self.fixed(head, parts);
        }
        self.control_plane.check(&user, &deed)?;
        if self.is_nowhere(asked.path(), head.method == axum::http::Method::GET) {
            return Ok(show::plain(StatusCode::NOT_FOUND, "404 page not found\n"));
        }
        let call = Call::of(self.control_plane.kinds(), user, asked)?;
        let form = Form::of_call(&call, text(&head.headers, header::ACCEPT.as_str()))?;
        if let (Form::Table, Include::Unknown(word)) = (form, &call.options.include) {
            return Err(Status::bad_request(format!(
                "Unable to convert to Table as requested: includeObject: Invalid value: {word:?}: must be 'Metadata', 'Object', \
                 'None', or empty"
            )));
        }
        match call.verb {
            Verb::Get => {
                let shown = Shown::Stored(self.control_plane.get(&call)?);
                show::shown(StatusCode::OK, &call, shown, form, self.control_plane.now())
            }
            Verb::List => {
                let listed = self.control_plane.list(&call)?;
                show::list(&call, listed, form, self.control_plane.now())
            }
            Verb::Watch => watch::answer(&self.control_plane, &call, form, self.room.watch()?),
            Verb::Create | Verb::Update | Verb::Patch | Verb::Delete | Verb::DeleteCollection => {
                let sent = ReadBody::read(body, &self.room).await?;
                self.write(&call, head, &sent.bytes, form).await
            }
        }
    }

    async fn write(
        &self,
        call: &Call,
        head: &axum::http::request::Parts,
        body: &[u8],
        form: Form,
    ) -> Result<Response<Body>, Status> {
        call.options.check(call.verb)?;
        let content_type = text(&head.headers, header::CONTENT_TYPE.as_str());
        let agent = text(&head.headers, header::USER_AGENT.as_str());
        let manager = call.options.field_manager.clone();
        let manager = manager.unwrap_or_else(|| patch::manager_of(agent));
        let control_plane = &self.control_plane;
        let answer = match call.verb {
            Verb::Create => {
                let sent = read(call, content_type, body)?;
                if let Nature::Review(review) = call.kind.nature {
                    let object = control_plane.review(call, review, sent.object, &manager)?;
                    return Ok(show::json(StatusCode::CREATED, &object.into_value()));
                }
                if call.subresource == Some(Subresource::Token) {
                    let object = control_plane.token_request(call, sent.object, &manager)?;
                    return Ok(show::json(StatusCode::CREATED, &object.into_value()));
                }
                control_plane.create(call, sent, &manager).await?
            }
            Verb::Update => {
                let sent = Sent::Whole(read(call, content_type, body)?);
                control_plane.change(call, &sent, &manager).await?
            }
            Verb::Patch => {
                let options = patch::Options {
                    field_manager: call.options.field_manager.clone(),
                    force: call.options.force.then_some(true),
                };
                let patch = Patch::read(&call.kind.subject, content_type, &options, body)?;
                // What is wrong with the body is said of an object that is there.
                let patch = match patch {
                    Ok(patch) => patch,
                    Err(status) if content_type.starts_with("application/apply-patch") => return Err(status),
                    Err(status) => {
                        control_plane.get(call)?;
                        return Err(status);
                    }
                };
                let twice = patch::said_twice(content_type, body);
                control_plane
                    .change(call, &Sent::Patch { patch, twice }, &manager)
                    .await?
            }
            Verb::Delete | Verb::DeleteCollection => {
                return self.delete(call, content_type, body, form).await;
            }
            Verb::Get | Verb::List | Verb::Watch => return Err(Status::method_not_allowed()),
        };
        let code = if answer.created {
            StatusCode::CREATED
        } else {
            StatusCode::OK
        };
        let mut response = show::shown(code, call, answer.shown, form, control_plane.now())?;
        warn(&mut response, &answer.warnings);
        Ok(response)
    }

    async fn delete(
        &self,
        call: &Call,
        content_type: &str,
        body: &[u8],
        form: Form,
    ) -> Result<Response<Body>, Status> {
        let options = match body {
            [] => None,
            body => Some(read_options(call, content_type, body)?),
        };
        let options = DeleteOptions::of(options.as_ref(), call)?;
        if call.verb == Verb::DeleteCollection {
            let listed = self.control_plane.delete_all(call, &options).await?;
            return show::list(call, listed, form, self.control_plane.now());
        }
        Ok(match self.control_plane.delete(call, &options).await? {
            Deleted::Gone(object) if call.kind.nature == Nature::ServiceAccount => {
                show::object(StatusCode::OK, call, object, form, self.control_plane.now())
            }
            // kubectl wants a status; who deletes by kind gets the object back where it stays.
            Deleted::Gone(object) => show::json(StatusCode::OK, &registry::gone(&call.kind, &object)),
            Deleted::Waits(object) if options.accepted => {
                show::object(StatusCode::ACCEPTED, call, object, form, self.control_plane.now())
            }
            Deleted::Waits(object) => {
                show::object(StatusCode::OK, call, object, form, self.control_plane.now())
            }
        })
    }

    /// Below a group that nobody serves, and in ours what is not there, nobody answers as Kubernetes.
    fn is_nowhere(&self, path: &Path, reads: bool) -> bool {
        let Path::Objects {
            group,
            version,
            plural,
            namespace,
            name,
            ..
        } = path
        else {
            return false;
        };
        let kinds = self.control_plane.kinds();
        let mut of_group = kinds.all().filter(|kind| kind.group == *group).peekable();
        match of_group.peek() {
            None => true,
            Some(kind) if kind.nature == Nature::Custom => match kinds.find(group, version, plural) {
                None => true,
                Some(kind) => kind.is_namespaced() && namespace.is_none() && (name.is_some() || !reads),
            },
            Some(_) => false,
        }
    }

    fn user(&self, headers: &HeaderMap) -> Result<User, Status> {
        if let Some(user) = &self.user {
            return Ok(user.clone());
        }
        match text(headers, header::AUTHORIZATION.as_str()).split_once(' ') {
            Some((scheme, token)) if scheme.eq_ignore_ascii_case("bearer") => self
                .control_plane
                .user_of(token.trim())
                .ok_or_else(Status::unauthorized),
            Some(_) | None => Ok(User::anonymous()),
        }
    }

    /// What is no object is allowed by its path.
    fn check_path(&self, user: &User, deed: &Deed) -> Result<(), Status> {
        if !self.control_plane.may(user, deed) {
            let why = format!("forbidden: {}", deed.refused(user));
            return Err(Status::forbidden_to(&why));
        }
        Ok(())
    }

    async fn backup(&self, head: &axum::http::request::Parts) -> Result<Response<Body>, Status> {
        if head.method != axum::http::Method::POST {
            return Err(Status::method_not_allowed());
        }
        backup::answer(self.control_plane.store(), self.room.backup()?).await
    }

    /// Health, version, discovery, OpenAPI.
    fn fixed(&self, head: &axum::http::request::Parts, parts: &[String]) -> Result<Response<Body>, Status> {
        let words: Vec<&str> = parts.iter().map(String::as_str).collect();
        let is_document = matches!(words.first(), Some(&("api" | "apis" | "version" | "openapi")));
        if is_document && !matches!(head.method.as_str(), "GET" | "HEAD") {
            return Err(Status::method_not_allowed());
        }
        let kinds = self.control_plane.kinds();
        let accept = text(&head.headers, header::ACCEPT.as_str());
        if accept.starts_with(openapi::SECOND_MEDIA) && words == ["openapi", "v2"] {
            return Ok(show::bytes(
                openapi::SECOND_ANSWERED,
                openapi::second_in_protobuf(),
            ));
        }
        let form = Form::of(accept).unwrap_or(Form::Json);
        let found = match words.as_slice() {
            ["healthz" | "livez" | "readyz"] | ["healthz" | "livez" | "readyz", "ping"] => {
                return Ok(show::plain(StatusCode::OK, "ok"));
            }
            ["version"] => Some(version()),
            [] => Some(json!({ "paths": roots(kinds) })),
            ["openapi", "v2"] => Some(openapi::second(kinds)),
            ["openapi", "v3"] => Some(openapi::index(kinds)),
            ["openapi", "v3", "api", version] => openapi::document(kinds, "", version),
            ["openapi", "v3", "apis", group, version] => openapi::document(kinds, group, version),
            words => discovery::answer(kinds, words, form == Form::AllGroups),
        };
        match found {
            Some(value) => {
                let mut response = show::json(StatusCode::OK, &value);
                if form == Form::AllGroups {
                    let media = HeaderValue::from_static(Form::AllGroups.media_type());
                    response.headers_mut().insert(header::CONTENT_TYPE, media);
                }
                Ok(response)
            }
            None if words.first() == Some(&"api") || words.first() == Some(&"apis") && words.len() > 3 => {
                Err(Status::no_such_resource())
            }
            None => Ok(show::plain(StatusCode::NOT_FOUND, "404 page not found\n")),
        }
    }
}

/// What a client learns of us: which Kubernetes we behave as.
fn version() -> Value {
    json!({
        "major": "1",
        "minor": "36",
        "gitVersion": concat!("v1.36.0+quartermaster.", env!("CARGO_PKG_VERSION")),
        "gitCommit": "",
        "gitTreeState": "",
        "buildDate": "1970-01-01T00:00:00Z",
        "goVersion": "",
        "compiler": "",
        "platform": format!("{}/{}", std::env::consts::OS, std::env::consts::ARCH),
    })
}

fn roots(kinds: &super::kind::Kinds) -> Vec<String> {
    let mut paths: Vec<String> = kinds
        .all()
        .map(|kind| match kind.group.as_str() {
            "" => format!("/api/{}", kind.version),
            group => format!("/apis/{group}/{}", kind.version),
        })
        .chain(
            [
                "/api",
                "/apis",
                "/healthz",
                "/livez",
                "/openapi/v2",
                "/openapi/v3",
                "/readyz",
                "/version",
            ]
            .map(str::to_owned),
        )
        .collect();
    paths.sort();
    paths.dedup();
    paths
}

/// Whom the request shall be done as.
fn wanted(headers: &HeaderMap) -> Wanted {
    let all = |name: &header::HeaderName| -> Vec<String> {
        let values = headers.get_all(name).iter();
        values
            .filter_map(|value| value.to_str().ok().map(str::to_owned))
            .collect()
    };
    let extra = headers.keys().filter_map(|header| {
        let key = header.as_str().strip_prefix("impersonate-extra-")?;
        Some((decoded(key), all(header)))
    });
    Wanted {
        name: text(headers, "impersonate-user").to_owned(),
        uid: text(headers, "impersonate-uid").to_owned(),
        groups: all(&header::HeaderName::from_static("impersonate-group")),
        extra: extra.collect(),
    }
}

fn text<'a>(headers: &'a HeaderMap, name: &str) -> &'a str {
    headers
        .get(name)
        .and_then(|value| value.to_str().ok())
        .unwrap_or_default()
}

fn refusal(status: &Status) -> Response<Body> {
    let code = StatusCode::from_u16(status.code).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut response = show::json(code, &status.to_json());
    warn(&mut response, &status.warnings);
    let seconds = status
        .details
        .as_ref()
        .and_then(|details| details.retry_after_seconds);
    if let Some(seconds) = seconds {
        response
            .headers_mut()
            .insert(header::RETRY_AFTER, HeaderValue::from(seconds));
    }
    response
}

const JSON: &str = "application/json";
const YAML: &str = "application/yaml";

/// The object in a body.
fn read(call: &Call, content_type: &str, bytes: &[u8]) -> Result<registry::Body, Status> {
    let body::Body { value, duplicates } = read_value(call, content_type, bytes)?;
    let no_json = |why: &str| {
        let why = format!("couldn't get version/kind; json parse error: {why}");
        unrecognized(call, &why, bytes)
    };
    // Nothing is an object of which nothing is said.
    let value = if value.is_null() { json!({}) } else { value };
    let object = Object::of(value).ok_or_else(|| no_json("json: cannot unmarshal it into an object"))?;
    let named = match object.fields().get("kind") {
        None | Some(Value::Null) => "",
        Some(Value::String(named)) => named.as_str(),
        Some(_) => return Err(no_json("json: cannot unmarshal the kind into a string")),
    };
    if call.kind.nature == Nature::Custom && named.is_empty() {
        let shown = patch::beginning(&String::from_utf8_lossy(bytes));
        let why = format!("Object 'Kind' is missing in '{shown}'");
        return Err(unrecognized(call, &why, bytes));
    }
    let twice = duplicates.iter().map(body::duplicate).collect();
    Ok(registry::Body { object, twice })
}

fn read_value(call: &Call, content_type: &str, bytes: &[u8]) -> Result<body::Body, Status> {
    let media = content_type.split(';').next().unwrap_or_default().trim();
    match media {
        "" | JSON => body::read(bytes).map_err(|error| match error {
            BodyError::Malformed(why) => {
                let why = format!("couldn't get version/kind; json parse error: {why}");
                unrecognized(call, &why, bytes)
            }
            BodyError::TooDeep => {
                let why = "couldn't get version/kind; json parse error: exceeded max depth";
                unrecognized(call, why, bytes)
            }
        }),
        protobuf::MEDIA => {
            let value = protobuf::read(bytes).map_err(|error| Status::bad_request(error.to_string()))?;
            Ok(body::Body {
                value,
                duplicates: Vec::new(),
            })
        }
        YAML => {
            let value =
                patch::read_yaml(bytes).map_err(|why| unrecognized(call, &format!("yaml: {why}"), bytes))?;
            Ok(body::Body {
                value,
                duplicates: Vec::new(),
            })
        }
        _ => Err(Status::unsupported_media_type(&[JSON, YAML, protobuf::MEDIA])),
    }
}

/// The body of a deletion.
fn read_options(call: &Call, content_type: &str, bytes: &[u8]) -> Result<Value, Status> {
    let words =
        |why: &str| Status::bad_request(format!("couldn't get version/kind; json parse error: {why}"));
    let value = read_value(call, content_type, bytes).map_err(|status| {
        let before = "json parse error: ";
        match status.message.split_once(before) {
            Some((_, why)) => words(why.rsplit_once(" (").map_or(why, |(why, _)| why)),
            None => status,
        }
    })?;
    if value.value.is_object() {
        return Ok(value.value);
    }
    Err(words("json: cannot unmarshal it into Go value of type struct"))
}

/// Not more of the body is shown than its beginning.
fn unrecognized(call: &Call, why: &str, body: &[u8]) -> Status {
    const SHOWN: usize = 30;
    let beginning = body.get(..SHOWN).unwrap_or(body);
    let more = if body.len() > SHOWN { " ..." } else { "" };
    let shown = match body.first() {
        None => "<empty>".into(),
        Some(b'{') => String::from_utf8_lossy(beginning),
        // What does not look like JSON may be bytes.
        Some(_) => beginning.iter().map(|byte| format!("{byte:02x}")).collect(),
    };
    Status::bad_request(format!(
        "the object provided is unrecognized (must be of type {}): {why} ({shown}{more})",
        call.kind.names.kind
    ))
}
