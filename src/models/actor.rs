//! Who does something to the store.

/// Who does something: an account, or the system itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Actor {
    /// The account, when there is one.
    pub account_id: Option<i64>,
    /// The name that history shows, even when the account is gone.
    pub name: String,
}

impl Actor {
    /// The system: a task, the demo data.
    pub fn system() -> Self {
        Self {
            account_id: None,
            name: "system".to_owned(),
        }
    }

    /// The name that stands in history for a person whose data was erased.
    pub const ERASED: &'static str = "erased";
}
