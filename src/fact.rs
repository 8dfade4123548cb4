//! What is known of the outside world. Three values, because "we could not look" is not "it is not there".

#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Fact<T> {
    /// Looked, and it is not there.
    Absent,
    /// Not looked, or the look failed: nothing may be planned on it.
    #[default]
    Unknown,
    Known(T),
}

impl<T> Fact<T> {
    pub fn map<U>(self, change: impl FnOnce(T) -> U) -> Fact<U> {
        match self {
            Self::Absent => Fact::Absent,
            Self::Unknown => Fact::Unknown,
            Self::Known(known) => Fact::Known(change(known)),
        }
    }
}
