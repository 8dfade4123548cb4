//! `kubectl --as`: who may act as somebody else, and who that is then. Whoever may `impersonate` a user (or group, uid, extra)
//! may do all that the other may; whoever may `impersonate:user-info` a user may do so in those requests only for which he
//! also has `impersonate-on:user-info:<verb>`.

use std::collections::BTreeMap;

use super::ControlPlane;
use super::access::{AUTHENTICATED, Deed, UNAUTHENTICATED, User};
use super::status::Status;

/// Whom a request's headers name.
#[derive(Debug, Clone, Default)]
pub(super) struct Wanted {
    pub(super) name: String,
    pub(super) uid: String,
    pub(super) groups: Vec<String>,
    pub(super) extra: BTreeMap<String, Vec<String>>,
}

/// In which words it may be allowed, in the order in which they are tried.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Mode {
    Node,
    ServiceAccount,
    UserInfo,
    Any,
}

const ANONYMOUS: &str = "system:anonymous";
const AUTHENTICATION: &str = "authentication.k8s.io";

impl ControlPlane {
    /// `deed` is what the request is about.
    pub(super) fn act_as(&self, user: User, wanted: &Wanted, deed: &Deed) -> Result<User, Status> {
        if wanted.name.is_empty() {
            if wanted.uid.is_empty() && wanted.groups.is_empty() && wanted.extra.is_empty() {
                return Ok(user);
            }
            return Err(Status::bad_request(format!(
                "requested {wanted:?} without impersonating a user name"
            )));
        }
        let mut first = Ok(());
        for mode in [Mode::Node, Mode::ServiceAccount, Mode::UserInfo, Mode::Any] {
            if !mode.is_for(wanted) {
                continue;
            }
            match self.check_mode(&user, wanted, deed, mode) {
                Ok(()) => return Ok(mode.becomes(wanted)),
                // What is said is what was tried first.
                Err(refused) => first = first.and(Err(refused)),
            }
        }
        first.map(|()| user)
    }

    fn check_mode(&self, user: &User, wanted: &Wanted, deed: &Deed, mode: Mode) -> Result<(), Status> {
        if let Some(word) = mode.word() {
            let (Deed::Objects { verb, .. } | Deed::Path { verb, .. }) = deed;
            let verb = format!("impersonate-on:{word}:{verb}");
            self.check(user, &with_verb(deed, &verb))?;
        }
        for deed in mode.deeds(wanted) {
            self.check(user, &deed)?;
        }
        Ok(())
    }
}

impl Mode {
    /// None: it is not bound to what is done.
    fn word(self) -> Option<&'static str> {
        match self {
            Self::Node => Some("arbitrary-node"),
            Self::ServiceAccount => Some("serviceaccount"),
            Self::UserInfo => Some("user-info"),
            Self::Any => None,
        }
    }

    fn is_for(self, wanted: &Wanted) -> bool {
        let Wanted {
            name,
            uid,
            groups,
            extra,
        } = wanted;
        let name_alone = uid.is_empty() && groups.is_empty() && extra.is_empty();
        match self {
            Self::Node => name_alone && node(name).is_some(),
            Self::ServiceAccount => name_alone && account(name).is_some(),
            Self::UserInfo => node(name).is_none() && account(name).is_none(),
            Self::Any => true,
        }
    }

    /// All that must be allowed, each word of the wanted one for itself.
    fn deeds(self, wanted: &Wanted) -> Vec<Deed> {
        let verb = match self.word() {
            Some(word) => format!("impersonate:{word}"),
            None => "impersonate".to_owned(),
        };
        let own = match self {
            Self::Any => "",
            Self::Node | Self::ServiceAccount | Self::UserInfo => AUTHENTICATION,
        };
        let deed = |group: &str, resource: &str, namespace: Option<&str>, name: &str| Deed::Objects {
            verb: verb.clone(),
            group: group.to_owned(),
            resource: resource.to_owned(),
            namespace: namespace.map(str::to_owned),
            name: Some(name.to_owned()),
        };
        let mut deeds = vec![match (account(&wanted.name), node(&wanted.name)) {
            (Some((namespace, name)), _) => deed(own, "serviceaccounts", Some(namespace), name),
            (None, Some(name)) if self == Self::Node => deed(own, "nodes", None, name),
            (None, _) => deed(own, "users", None, &wanted.name),
        }];
        if !wanted.uid.is_empty() {
            deeds.push(deed(AUTHENTICATION, "uids", None, &wanted.uid));
        }
        deeds.extend(wanted.groups.iter().map(|group| deed(own, "groups", None, group)));
        for (key, values) in &wanted.extra {
            let resource = format!("userextras/{key}");
            deeds.extend(
                values
                    .iter()
                    .map(|value| deed(AUTHENTICATION, &resource, None, value)),
            );
        }
        deeds
    }

    fn becomes(self, wanted: &Wanted) -> User {
        let Wanted {
            name,
            uid,
            mut groups,
            extra,
        } = wanted.clone();
        if let Some((namespace, account)) = account(&name)
            && groups.is_empty()
        {
            groups = User::service_account(namespace, account, "").groups;
        }
        if self == Self::Node {
            groups = vec!["system:nodes".to_owned()];
        }
        let is_known = !groups.iter().any(|group| group == UNAUTHENTICATED);
        let every = if name == ANONYMOUS {
            Some(UNAUTHENTICATED)
        } else {
            is_known.then_some(AUTHENTICATED)
        };
        if let Some(every) = every.filter(|every| !groups.iter().any(|group| group == every)) {
            groups.push(every.to_owned());
        }
        User {
            name,
            uid,
            groups,
            extra,
        }
    }
}

fn with_verb(deed: &Deed, verb: &str) -> Deed {
    let mut deed = deed.clone();
    let (Deed::Objects { verb: is, .. } | Deed::Path { verb: is, .. }) = &mut deed;
    verb.clone_into(is);
    deed
}

/// Namespace and name of a ServiceAccount's user.
fn account(user: &str) -> Option<(&str, &str)> {
    user.strip_prefix("system:serviceaccount:")?
        .split_once(':')
        .filter(|(namespace, name)| !namespace.is_empty() && !name.is_empty() && !name.contains(':'))
}

fn node(user: &str) -> Option<&str> {
    user.strip_prefix("system:node:").filter(|name| !name.is_empty())
}
