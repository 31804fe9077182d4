//! Generations: numbers that say which state of something is the current one.
//!
//! A reader notes them before it asks the database and keeps its answer under what it noted. A writer
//! raises them after its commit and before it answers. So an answer made from an older state stands
//! under numbers that nobody asks for any more, however the two have raced.

use std::{
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
};

use super::Name;

/// How many numbers there are. Names that share one only make each other's answers be made again.
const SLOTS: usize = 1 << 16;

/// The numbers of one node that keeps to itself. However many names there are, they take half a
/// mebibyte.
#[derive(Debug)]
pub struct Generations {
    slots: Box<[AtomicU64]>,
    everything: AtomicU64,
}

/// The numbers that an answer was made under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stamp(Box<[u64]>);

/// The numbers that were current when a request began.
#[derive(Clone, Debug)]
pub struct Noted(Source);

#[derive(Clone, Debug)]
enum Source {
    /// They cost nothing to read: whichever is asked for.
    Here(Arc<Generations>),
    /// Those that were asked for, by the hash of their name, and the numbers of everything.
    Shared {
        everything: [u64; 2],
        numbers: Vec<(u64, u64)>,
    },
    /// Nobody knows: nothing that was kept may be trusted.
    Nothing,
}

impl Default for Generations {
    fn default() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            everything: AtomicU64::new(0),
        }
    }
}

impl Generations {
    /// Makes everything that was noted of these names outdated.
    pub fn raise(&self, names: &[impl Name], everything: bool) {
        if everything {
            self.everything.fetch_add(1, Ordering::SeqCst);
        }
        for name in names {
            self.slot(name).fetch_add(1, Ordering::SeqCst);
        }
    }

    fn slot(&self, name: &impl Name) -> &AtomicU64 {
        let slot = hash(name) % SLOTS as u64;
        // Less than SLOTS, which is a usize.
        &self.slots[usize::try_from(slot).unwrap_or_default()]
    }
}

impl Stamp {
    /// The numbers that nodes share, in the order of [`Noted::shared`]: of everything, then of each name.
    pub(super) fn shared(&self) -> impl Iterator<Item = u64> {
        let ours = 1;
        let numbers = self.0.iter().enumerate();
        numbers.filter_map(move |(place, number)| (place != ours).then_some(*number))
    }
}

impl Noted {
    /// Whether anything that was kept may be trusted.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        !matches!(self.0, Source::Nothing)
    }

    /// The numbers of this node.
    #[must_use]
    pub const fn here(generations: Arc<Generations>) -> Self {
        Self(Source::Here(generations))
    }

    /// Numbers that all nodes share: those of everything, and those of some names.
    pub fn shared<N: Name>(
        everything: [u64; 2],
        numbers: impl IntoIterator<Item = (N, u64)>,
    ) -> Self {
        Self(Source::Shared {
            everything,
            numbers: numbers
                .into_iter()
                .map(|(name, number)| (hash(&name), number))
                .collect(),
        })
    }

    /// Nothing is known.
    #[must_use]
    pub const fn nothing() -> Self {
        Self(Source::Nothing)
    }

    /// What an answer that shows these has to be kept under, unless their numbers are not known.
    #[must_use]
    pub fn stamp(&self, names: &[impl Name]) -> Option<Stamp> {
        let stamp: Option<Box<[u64]>> = match &self.0 {
            Source::Nothing => None,
            Source::Here(generations) => {
                let everything = &generations.everything;
                let slots = names.iter().map(|name| generations.slot(name));
                Some(
                    std::iter::once(everything)
                        .chain(slots)
                        .map(|number| number.load(Ordering::SeqCst))
                        .collect(),
                )
            }
            Source::Shared {
                everything,
                numbers,
            } => everything
                .iter()
                .map(|number| Some(*number))
                .chain(names.iter().map(|name| {
                    let name = hash(name);
                    let known = numbers.iter().find(|(known, _)| *known == name);
                    known.map(|(_, number)| *number)
                }))
                .collect(),
        };
        stamp.map(Stamp)
    }
}

/// Without a random key: nobody gains from names that share a slot.
fn hash(name: &impl Name) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_raise_outdates_its_name_alone() {
        let generations = Arc::<Generations>::default();
        let noted = Noted::here(Arc::clone(&generations));
        let (tea, cake) = (noted.stamp(&["tea"]), noted.stamp(&["cake"]));
        generations.raise(&["tea"], false);
        assert_ne!(noted.stamp(&["tea"]), tea);
        assert_eq!(noted.stamp(&["cake"]), cake);
        assert_ne!(noted.stamp(&["cake", "tea"]), noted.stamp(&["cake"]));
    }

    #[test]
    fn a_raise_of_everything_outdates_every_name() {
        let generations = Arc::<Generations>::default();
        let noted = Noted::here(Arc::clone(&generations));
        let before = noted.stamp(&["tea"]);
        generations.raise(&[] as &[&str], true);
        assert_ne!(noted.stamp(&["tea"]), before);
    }

    #[test]
    fn names_that_were_not_noted_have_no_stamp() {
        let noted = Noted::shared([7, 0], [("tea", 1)]);
        assert!(noted.stamp(&["tea"]).is_some());
        assert_eq!(noted.stamp(&["tea", "cake"]), None);
        assert_eq!(Noted::nothing().stamp(&["tea"]), None);
    }

    #[test]
    fn another_state_of_everything_is_another_stamp() {
        let (one, other) = (
            Noted::shared([7, 0], [("tea", 1)]),
            Noted::shared([8, 0], [("tea", 1)]),
        );
        assert_ne!(one.stamp(&["tea"]), other.stamp(&["tea"]));
    }
}
