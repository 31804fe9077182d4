//! Passwords, before and after hashing.

use std::{
    fmt,
    sync::{Arc, LazyLock, OnceLock},
    thread::available_parallelism,
};

use loco_rs::hash;
use tokio::{sync::Semaphore, task::spawn_blocking};
use unicode_normalization::UnicodeNormalization;

use super::Violation;

/// The longest password, in characters: long enough for any phrase, short enough to hash.
pub const MAX_LENGTH: usize = 128;

/// A password in the clear. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// What is kept of a password: argon2id, in the PHC string format. It cannot be printed either.
#[derive(Clone)]
pub struct PasswordHash(String);

/// Each hash takes 19 MiB and a core for some 20 ms: more of them at once than there are cores would
/// only take more memory, not less time.
static HASHING: LazyLock<Arc<Semaphore>> = LazyLock::new(|| {
    let cores = available_parallelism().map_or(1, std::num::NonZero::get);
    Arc::new(Semaphore::new(cores))
});

impl Password {
    /// A password to log in with. Composed and decomposed letters are the same (NFC), because
    /// keyboards differ (NIST SP 800-63B-4, 3.1.1.2).
    #[must_use]
    pub fn given(text: &str) -> Self {
        Self(text.nfc().collect())
    }

    /// A new password: long enough, and not easily guessed from a dictionary. There are no composition
    /// rules (NIST SP 800-63B-4, 3.1.1.2).
    ///
    /// # Errors
    /// The [`Violation`] that says why it was refused.
    pub fn chosen(text: &str, min_length: usize) -> Result<Self, Violation> {
        let password = Self::given(text);
        if !(min_length..=MAX_LENGTH).contains(&password.0.chars().count()) {
            return Err(Violation::new(
                "length",
                format!("must have {min_length} to {MAX_LENGTH} characters"),
            ));
        }
        password.check_against(&[])?;
        Ok(password)
    }

    /// Refuses a password that is easily guessed by who knows its owner's names.
    ///
    /// # Errors
    /// The [`Violation`] that says why it was refused.
    pub fn check_against(&self, names: &[&str]) -> Result<(), Violation> {
        let estimate = zxcvbn::zxcvbn(&self.0, names);
        if estimate.score() >= zxcvbn::Score::Three {
            return Ok(());
        }
        let warning = estimate
            .feedback()
            .and_then(zxcvbn::feedback::Feedback::warning);
        let why = warning.map_or_else(
            || "Use more words, or rarer ones.".to_owned(),
            |warning| warning.to_string(),
        );
        Err(Violation::new(
            "guessable",
            format!("is easily guessed. {why}"),
        ))
    }

    /// A random password, for a person to copy: 24 letters and digits.
    #[must_use]
    pub fn generated() -> Self {
        Self(hash::random_string(24))
    }

    /// The password in the clear, to show a generated one to its owner.
    #[must_use]
    pub fn reveal(&self) -> &str {
        &self.0
    }

    /// Hashes it, off the async threads.
    ///
    /// # Errors
    /// When the hash cannot be made.
    pub async fn hash(self) -> loco_rs::Result<PasswordHash> {
        off_thread(move || hash::hash_password(&self.0))
            .await?
            .map(PasswordHash)
    }

    /// Whether this is the password behind `hash`, off the async threads. Without a hash (nobody of
    /// that name) the answer is no, and takes as long.
    ///
    /// # Errors
    /// When the check cannot be made.
    pub async fn matches(self, hash: Option<PasswordHash>) -> loco_rs::Result<bool> {
        off_thread(move || {
            let known = hash.is_some();
            let hash = hash.map_or_else(nobodys_hash, |hash| hash.0);
            hash::verify_password(&self.0, &hash) && known
        })
        .await
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

impl fmt::Debug for PasswordHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PasswordHash(…)")
    }
}

impl PasswordHash {
    /// A hash as the database holds it.
    #[must_use]
    pub const fn stored(hash: String) -> Self {
        Self(hash)
    }
}

impl From<PasswordHash> for String {
    fn from(hash: PasswordHash) -> Self {
        hash.0
    }
}

/// The hash of a password that nobody knows.
fn nobodys_hash() -> String {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| hash::hash_password(&hash::random_string(24)).unwrap_or_default())
        .clone()
}

async fn off_thread<T: Send + 'static>(
    work: impl FnOnce() -> T + Send + 'static,
) -> loco_rs::Result<T> {
    let turn = Arc::clone(&HASHING)
        .acquire_owned()
        .await
        .map_err(loco_rs::Error::wrap)?;
    // The turn is over when the work is, though nobody may wait for it any more.
    let work = move || {
        let _turn = turn;
        work()
    };
    spawn_blocking(work).await.map_err(loco_rs::Error::wrap)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn refusal(text: &str) -> Violation {
        Password::chosen(text, 12).unwrap_err()
    }

    #[test]
    fn a_new_password_is_12_to_128_characters_of_any_kind() {
        assert!(Password::chosen("ночной поезд идёт на юг", 12).is_ok());
        assert!(Password::chosen("salt kettle 9 anvil fjord", 12).is_ok());
        assert_eq!(refusal("kettle9anvi").code, "length");
        assert_eq!(refusal(&"kettle anvil ".repeat(10)).code, "length");
    }

    #[test]
    fn a_guessable_password_is_refused_with_the_reason() {
        let violation = refusal("aaaaaaaaaaaaaaaa");
        assert_eq!(violation.code, "guessable");
        assert!(
            violation.message.starts_with("is easily guessed. "),
            "{}",
            violation.message
        );
        assert!(violation.message.len() > "is easily guessed. ".len());
    }

    #[test]
    fn the_owners_names_make_it_guessable() {
        let password = Password::chosen("mirabelle.okonkwo", 12).unwrap();
        assert_eq!(
            password
                .check_against(&["mirabelle.okonkwo"])
                .unwrap_err()
                .code,
            "guessable"
        );
    }

    #[test]
    fn a_password_cannot_be_printed() {
        assert_eq!(format!("{:?}", Password::given("secret")), "Password(…)");
    }

    #[tokio::test]
    async fn only_the_right_password_matches_however_it_was_composed() {
        let hash = Password::given("caf\u{e9} kettle anvil")
            .hash()
            .await
            .unwrap();
        assert!(
            Password::given("cafe\u{301} kettle anvil")
                .matches(Some(hash.clone()))
                .await
                .unwrap()
        );
        assert!(
            !Password::given("cafe kettle anvil")
                .matches(Some(hash))
                .await
                .unwrap()
        );
        assert!(!Password::given("anything").matches(None).await.unwrap());
    }
}
