//! Versions: numbers that say which state of something is the current one.
//!
//! A reader takes a snapshot of them before it asks the database, and keeps its answer under that. A writer
//! bumps them after its commit and before it answers. So an answer made from an older state stands under
//! numbers that are not asked for any more, however the two have raced.

use std::{
    collections::HashMap,
    hash::{BuildHasher, BuildHasherDefault, DefaultHasher},
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use super::Name;

/// How many numbers there are. Names that share one only make each other's answers be made again.
const SLOTS: usize = 1 << 16;

/// The numbers of one node that keeps to itself. However many names there are, they take half a
/// mebibyte.
#[derive(Debug)]
pub struct Versions {
    slots: Box<[AtomicU64]>,
    everything: AtomicU64,
    /// The highest id that was announced, by the hash of its name. There are few: one for each such list.
    announced: Mutex<HashMap<u64, i64>>,
}

/// The numbers that an answer was made under.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Version(Box<[u64]>);

/// The numbers that were current when a request began.
#[derive(Clone, Debug)]
pub struct VersionSnapshot(Source);

#[derive(Clone, Debug)]
enum Source {
    /// They cost nothing to read: whichever is asked for.
    Local(Arc<Versions>),
    /// Those that were asked for, by the hash of their name, and the numbers of everything.
    Shared {
        everything: [u64; 2],
        numbers: Vec<(u64, u64)>,
    },
    /// They are not known: no answer that was kept may be trusted.
    Unknown,
}

impl Default for Versions {
    fn default() -> Self {
        Self {
            slots: (0..SLOTS).map(|_| AtomicU64::new(0)).collect(),
            everything: AtomicU64::new(0),
            announced: Mutex::default(),
        }
    }
}

impl Versions {
    /// Outdates everything that was kept of these names.
    pub fn bump(&self, names: &[impl Name], everything: bool) {
        if everything {
            self.everything.fetch_add(1, Ordering::SeqCst);
        }
        for name in names {
            self.slot(name).fetch_add(1, Ordering::SeqCst);
        }
    }

    /// Says that something is about to be kept of the name that a row up to this id would change.
    pub fn announce(&self, name: &impl Name, id: i64) {
        self.announced()
            .entry(hash(name))
            .and_modify(|highest| *highest = id.max(*highest))
            .or_insert(id);
    }

    /// Outdates what was kept of a name if a row was added to it that is not beyond what was announced.
    pub fn add<N: Name>(&self, rows: &[(N, i64)]) {
        for (name, id) in rows {
            let announced = self.announced().get(&hash(name)).copied();
            if announced.is_some_and(|highest| *id <= highest) {
                self.bump(std::slice::from_ref(name), false);
            }
        }
    }

    fn announced(&self) -> MutexGuard<'_, HashMap<u64, i64>> {
        self.announced
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
    }

    fn slot(&self, name: &impl Name) -> &AtomicU64 {
        let slot = hash(name) % SLOTS as u64;
        // Less than SLOTS, which is a usize.
        &self.slots[usize::try_from(slot).unwrap_or_default()]
    }
}

impl Version {
    /// The numbers that nodes share, in the order of [`VersionSnapshot::shared`]: of everything, then of each name.
    pub(super) fn shared(&self) -> impl Iterator<Item = u64> {
        let ours = 1;
        let numbers = self.0.iter().enumerate();
        numbers.filter_map(move |(place, number)| (place != ours).then_some(*number))
    }
}

impl VersionSnapshot {
    /// Whether anything that was kept may be trusted.
    #[must_use]
    pub const fn is_known(&self) -> bool {
        !matches!(self.0, Source::Unknown)
    }

    /// The numbers of this node.
    #[must_use]
    pub const fn local(versions: Arc<Versions>) -> Self {
        Self(Source::Local(versions))
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

    /// No version is known.
    #[must_use]
    pub const fn unknown() -> Self {
        Self(Source::Unknown)
    }

    /// What an answer that shows these has to be kept under, unless their numbers are not known.
    #[must_use]
    pub fn version(&self, names: &[impl Name]) -> Option<Version> {
        let version: Option<Box<[u64]>> = match &self.0 {
            Source::Unknown => None,
            Source::Local(versions) => {
                let everything = &versions.everything;
                let slots = names.iter().map(|name| versions.slot(name));
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
        version.map(Version)
    }
}

/// Without a random key: an attacker gains nothing from names that share a slot.
fn hash(name: &impl Name) -> u64 {
    BuildHasherDefault::<DefaultHasher>::default().hash_one(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_bump_outdates_its_name_alone() {
        let versions = Arc::<Versions>::default();
        let snapshot = VersionSnapshot::local(Arc::clone(&versions));
        let (tea, cake) = (snapshot.version(&["tea"]), snapshot.version(&["cake"]));
        versions.bump(&["tea"], false);
        assert_ne!(snapshot.version(&["tea"]), tea);
        assert_eq!(snapshot.version(&["cake"]), cake);
        assert_ne!(
            snapshot.version(&["cake", "tea"]),
            snapshot.version(&["cake"])
        );
    }

    #[test]
    fn a_bump_of_everything_outdates_every_name() {
        let versions = Arc::<Versions>::default();
        let snapshot = VersionSnapshot::local(Arc::clone(&versions));
        let before = snapshot.version(&["tea"]);
        versions.bump(&[] as &[&str], true);
        assert_ne!(snapshot.version(&["tea"]), before);
    }

    #[test]
    fn a_row_outdates_its_name_unless_it_is_beyond_what_was_announced() {
        let versions = Arc::<Versions>::default();
        let snapshot = VersionSnapshot::local(Arc::clone(&versions));
        let before = snapshot.version(&["tea"]);
        versions.add(&[("tea", 1)]);
        assert_eq!(snapshot.version(&["tea"]), before, "nothing was announced");
        versions.announce(&"tea", 7);
        versions.announce(&"tea", 5);
        versions.announce(&"cake", 9);
        versions.add(&[("tea", 8)]);
        assert_eq!(snapshot.version(&["tea"]), before, "it is beyond");
        versions.add(&[("tea", 7)]);
        assert_ne!(snapshot.version(&["tea"]), before);
    }

    #[test]
    fn names_that_were_not_asked_for_have_no_version() {
        let snapshot = VersionSnapshot::shared([7, 0], [("tea", 1)]);
        assert!(snapshot.version(&["tea"]).is_some());
        assert_eq!(snapshot.version(&["tea", "cake"]), None);
        assert_eq!(VersionSnapshot::unknown().version(&["tea"]), None);
    }

    #[test]
    fn another_state_of_everything_is_another_version() {
        let (one, other) = (
            VersionSnapshot::shared([7, 0], [("tea", 1)]),
            VersionSnapshot::shared([8, 0], [("tea", 1)]),
        );
        assert_ne!(one.version(&["tea"]), other.version(&["tea"]));
    }
}
