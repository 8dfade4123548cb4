//! Lists, whole or by pages. A later page is of the same revision as the first: it is what is present, with the changes
//! after that revision undone.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::num::NonZeroUsize;
use std::ops::Bound;
use std::sync::Arc;

use super::key::{Key, Prefix};
use super::state::State;
use super::stored::{Revision, Stored};

/// Which part of a list. By default all of it, as it is now.
#[derive(Debug, Clone, Default)]
pub struct Paging {
    /// Begins behind it, whether or not it is there.
    pub after: Option<Key>,
    pub limit: Option<NonZeroUsize>,
    pub at: Option<Revision>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Page {
    pub items: Vec<(Key, Stored)>,
    pub revision: Revision,
    /// How many come after these. The next page begins after the last of `items`, at `revision`.
    pub remaining: usize,
}

/// That revision cannot be shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum OutOfReach {
    /// As after a compaction: 410.
    #[error("revision {asked} is forgotten: what is known is complete since {complete_since}")]
    Expired {
        asked: Revision,
        complete_since: Revision,
    },
    #[error("revision {asked} has not come yet: it is now {current}")]
    Ahead { asked: Revision, current: Revision },
}

impl State {
    pub(super) fn list(&self, prefix: &Prefix, paging: &Paging) -> Result<Page, OutOfReach> {
        let Paging { after, limit, at } = paging;
        let (current, complete_since) = (self.revision(), self.complete_since(prefix.resource()));
        let asked = at.unwrap_or(current);
        let expired = OutOfReach::Expired {
            asked,
            complete_since,
        };
        if asked > current {
            return Err(OutOfReach::Ahead { asked, current });
        }
        let mut page = Page {
            items: Vec::new(),
            revision: asked,
            remaining: 0,
        };
        let Some(resource) = self.resource(prefix.resource()) else {
            return if asked < complete_since {
                Err(expired)
            } else {
                Ok(page)
            };
        };

        // What those objects were that were changed since: what the first change after that revision replaced.
        let mut changed: BTreeMap<Arc<str>, Option<&Stored>> = BTreeMap::new();
        for event in resource.history.after(asked).ok_or(expired)? {
            let path = event.key.path();
            if prefix.holds(path) {
                changed.entry(Arc::clone(path)).or_insert(event.previous.as_ref());
            }
        }

        let from: Bound<&str> = match after.as_ref().map(|key| &**key.path()) {
            Some(after) if after >= prefix.start() => Bound::Excluded(after),
            Some(_) | None => Bound::Included(prefix.start()),
        };
        let range = (from, Bound::Unbounded);
        let unchanged = resource.present.range::<str, _>(range);
        let unchanged = unchanged
            .take_while(|(path, _)| prefix.holds(path))
            .filter(|(path, _)| !changed.contains_key(&**path));
        let earlier = changed.range::<str, _>(range);
        let earlier = earlier.filter_map(|(path, earlier)| Some((path, (*earlier)?)));

        let mut found = merged(unchanged, earlier);
        let limit = limit.map_or(usize::MAX, NonZeroUsize::get);
        let items = found.by_ref().take(limit);
        page.items = items
            .map(|(path, stored)| (Key::of_path(prefix.resource(), path), stored.clone()))
            .collect();
        page.remaining = found.count();
        Ok(page)
    }
}

type Entry<'a> = (&'a Arc<str>, &'a Stored);

/// Both are in order and have no path in common.
fn merged<'a>(
    one: impl Iterator<Item = Entry<'a>>,
    other: impl Iterator<Item = Entry<'a>>,
) -> impl Iterator<Item = Entry<'a>> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some((a, _)), Some((b, _))) if a.cmp(b) == Ordering::Greater => other.next(),
        (Some(_), _) => one.next(),
        (None, _) => other.next(),
    })
}
