//! Objects found by words: which Boards name this Gateway, which Agents ask for this id. Kept from what the watch says,
//! so that no question has to look at ten thousand objects.

use std::collections::{BTreeSet, HashMap};
use std::hash::Hash;

/// Namespace and name.
pub(super) type Key = (String, String);

#[derive(Debug)]
pub(super) struct Index<Word> {
    found_by: HashMap<Word, BTreeSet<Key>>,
    words: HashMap<Key, BTreeSet<Word>>,
    /// A whole list was taken in: from now on what is not found is not there.
    is_whole: bool,
}

impl<Word> Default for Index<Word> {
    fn default() -> Self {
        Self {
            found_by: HashMap::new(),
            words: HashMap::new(),
            is_whole: false,
        }
    }
}

impl<Word: Clone + Eq + Hash + Ord> Index<Word> {
    /// The object is found by these words from now on, and by no others.
    pub(super) fn put(&mut self, key: Key, words: BTreeSet<Word>) {
        self.take(&key);
        for word in &words {
            self.found_by.entry(word.clone()).or_default().insert(key.clone());
        }
        self.words.insert(key, words);
    }

    /// The object is gone.
    pub(super) fn take(&mut self, key: &Key) {
        for word in self.words.remove(key).unwrap_or_default() {
            let Some(keys) = self.found_by.get_mut(&word) else {
                continue;
            };
            keys.remove(key);
            if keys.is_empty() {
                self.found_by.remove(&word);
            }
        }
    }

    /// A list was read anew: what is not in it was deleted while nobody was looking.
    pub(super) fn replace(&mut self, all: impl Iterator<Item = (Key, BTreeSet<Word>)>) {
        *self = Self {
            is_whole: true,
            ..Self::default()
        };
        for (key, words) in all {
            self.put(key, words);
        }
    }

    pub(super) fn is_whole(&self) -> bool {
        self.is_whole
    }

    /// By namespace and name.
    pub(super) fn find(&self, word: &Word) -> Vec<Key> {
        self.found_by.get(word).into_iter().flatten().cloned().collect()
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    #[derive(Debug, Clone)]
    enum Step {
        Put(u8, BTreeSet<u8>),
        Take(u8),
        Replace(BTreeMap<u8, BTreeSet<u8>>),
    }

    fn step() -> impl Strategy<Value = Step> {
        let words = || prop::collection::btree_set(0..6u8, 0..4);
        prop_oneof![
            4 => (0..8u8, words()).prop_map(|(key, words)| Step::Put(key, words)),
            2 => (0..8u8).prop_map(Step::Take),
            1 => prop::collection::btree_map(0..8u8, words(), 0..6).prop_map(Step::Replace),
        ]
    }

    fn key(number: u8) -> Key {
        ("town".to_owned(), number.to_string())
    }

    proptest! {
        /// The index against a map that is searched from end to end.
        #[test]
        fn what_is_found_is_what_a_search_of_everything_finds(steps in prop::collection::vec(step(), 0..60)) {
            let (mut index, mut plain) = (Index::default(), BTreeMap::new());
            for step in steps {
                match step {
                    Step::Put(number, words) => {
                        index.put(key(number), words.clone());
                        plain.insert(number, words);
                    }
                    Step::Take(number) => {
                        index.take(&key(number));
                        plain.remove(&number);
                    }
                    Step::Replace(all) => {
                        index.replace(all.iter().map(|(number, words)| (key(*number), words.clone())));
                        plain = all;
                    }
                }
                for word in 0..6 {
                    let searched: Vec<Key> = plain
                        .iter()
                        .filter(|(_, words)| words.contains(&word))
                        .map(|(number, _)| key(*number))
                        .collect();
                    prop_assert_eq!(index.find(&word), searched);
                }
                // Nothing is left of words that nobody has any more.
                let used: BTreeSet<u8> = plain.values().flatten().copied().collect();
                prop_assert_eq!(index.found_by.len(), used.len());
            }
        }
    }
}
