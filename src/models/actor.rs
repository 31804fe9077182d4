//! Who does something to the store.

use super::types::ActorKind;

/// Who does something: an account, a key, a command, or the system itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// What they are.
    pub kind: ActorKind,
    /// The account or the key, when there is one: their ids have nothing to do with each other.
    pub id: Option<i64>,
    /// The name that history shows, even when the account is gone.
    pub name: String,
}

impl Actor {
    /// The system: the demo data, whatever the server does by itself.
    pub fn system() -> Self {
        Self {
            kind: ActorKind::System,
            id: None,
            name: "system".to_owned(),
        }
    }

    /// An operator's command of that name.
    pub fn task(name: &str) -> Self {
        Self {
            kind: ActorKind::Task,
            id: None,
            name: name.to_owned(),
        }
    }

    /// The account, when it is one.
    pub fn account_id(&self) -> Option<i64> {
        self.id.filter(|_| self.kind == ActorKind::Account)
    }

    /// The name that stands in history for a person whose data was erased.
    pub const ERASED: &'static str = "erased";
}
