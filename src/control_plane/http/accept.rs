//! PURE. In which form an answer is wanted.

use crate::control_plane::call::Call;
use crate::control_plane::kind::{Nature, Verb};
use crate::control_plane::status::Status;

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    Json,
    /// As `kubectl get` prints it.
    Table,
    /// Metadata alone.
    Metadata,
    /// All groups at once.
    AllGroups,
    Yaml,
}

/// What is understood, in the order of the client's wishes.
const ACCEPTED: &[&str] = &[
    "application/json",
    "application/yaml",
    "application/vnd.kubernetes.protobuf",
];

impl Form {
    /// The first wish that can be granted. Protobuf cannot; who knows nothing else is refused.
    pub(super) fn of(accept: &str) -> Result<Self, Status> {
        if accept.trim().is_empty() {
            return Ok(Self::Json);
        }
        accept
            .split(',')
            .find_map(|wish| Self::granted(wish.trim()))
            .ok_or_else(|| Status::not_acceptable(ACCEPTED))
    }

    /// The same for what is asked of objects.
    pub(super) fn of_call(call: &Call, accept: &str) -> Result<Self, Status> {
        const STREAMS: [&str; 2] = [
            "application/json;stream=watch",
            "application/vnd.kubernetes.protobuf;stream=watch",
        ];
        let is_list = matches!(call.verb, Verb::List | Verb::Watch | Verb::DeleteCollection);
        if Self::of(accept) == Ok(Self::Metadata) && accept.contains("PartialObjectMetadataList") && !is_list
        {
            return Err(Status::no_list(&call.kind.names.kind));
        }
        if call.kind.nature == Nature::Custom {
            return Self::of(accept);
        }
        // The system's kinds have words of their own for it, and know no `application/*`.
        let media = |wish: &str| wish.split(';').next().unwrap_or_default().trim().to_owned();
        let known = |wish: &str| {
            let media = media(wish);
            media == "*/*" || ACCEPTED.contains(&media.as_str())
        };
        if accept.trim().is_empty() || accept.split(',').any(known) {
            return Self::of(accept);
        }
        let streams: &[&str] = match call.verb {
            Verb::List | Verb::Watch => &STREAMS,
            Verb::Create | Verb::Delete | Verb::DeleteCollection | Verb::Get | Verb::Patch | Verb::Update => {
                &[]
            }
        };
        Err(Status::not_representable(&[ACCEPTED, streams].concat()))
    }

    fn granted(wish: &str) -> Option<Self> {
        let mut parts = wish.split(';').map(str::trim);
        let media = parts.next()?;
        let (mut converted, mut group, mut version) = (None, None, None);
        for part in parts {
            match part.split_once('=') {
                Some(("as", word)) => converted = Some(word),
                Some(("g", word)) => group = Some(word),
                Some(("v", word)) => version = Some(word),
                Some(_) | None => {}
            }
        }
        match (media, converted) {
            ("application/json" | "*/*" | "application/*", None) => Some(Self::Json),
            ("application/yaml", None) => Some(Self::Yaml),
            ("application/json", Some("Table")) if group == Some("meta.k8s.io") && version == Some("v1") => {
                Some(Self::Table)
            }
            ("application/json", Some("PartialObjectMetadata" | "PartialObjectMetadataList"))
                if group == Some("meta.k8s.io") && version == Some("v1") =>
            {
                Some(Self::Metadata)
            }
            ("application/json", Some("APIGroupDiscoveryList")) if version == Some("v2") => {
                Some(Self::AllGroups)
            }
            _ => None,
        }
    }

    /// What the answer is labelled as.
    pub(super) fn media_type(self) -> &'static str {
        match self {
            Self::Json | Self::Table | Self::Metadata => "application/json",
            Self::AllGroups => "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList",
            Self::Yaml => "application/yaml",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_wish_that_can_be_granted() {
        for (accept, form) in [
            ("", Form::Json),
            ("*/*", Form::Json),
            ("application/json, */*", Form::Json),
            (
                "application/json;as=Table;v=v1;g=meta.k8s.io,application/json;as=Table;v=v1beta1;g=meta.k8s.io,application/json",
                Form::Table,
            ),
            (
                "application/json;as=PartialObjectMetadata;g=meta.k8s.io;v=v1",
                Form::Metadata,
            ),
            ("application/vnd.kubernetes.protobuf,application/json", Form::Json),
            (
                "application/json;g=apidiscovery.k8s.io;v=v2;as=APIGroupDiscoveryList,application/json",
                Form::AllGroups,
            ),
            ("application/yaml", Form::Yaml),
        ] {
            assert_eq!(Form::of(accept), Ok(form), "{accept}");
        }
        assert_eq!(
            Form::of("application/vnd.kubernetes.protobuf").unwrap_err().code,
            406
        );
        assert_eq!(Form::of("text/html").unwrap_err().code, 406);
    }
}
