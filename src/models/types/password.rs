//! Passwords, before and after hashing.

use std::{
    fmt,
    sync::{
        OnceLock,
        atomic::{AtomicUsize, Ordering},
    },
};

use loco_rs::hash;
use unicode_normalization::UnicodeNormalization;
use utoipa::openapi::{
    Schema,
    schema::{KnownFormat, ObjectBuilder, SchemaFormat},
};

use super::{RuleViolation, Scalar, case_fold, string};
use crate::models::{Result, queue::Turn};

/// The longest password, in characters: long enough for any phrase, short enough to hash.
pub const MAX_LENGTH: usize = 128;

/// The shortest new password, in characters. One for the process: what is too short is said with everything
/// else that is wrong with a body, where it is read.
static MIN_LENGTH: AtomicUsize = AtomicUsize::new(12);

/// How many code points the longest password has at most before it is composed: none of its letters
/// is composed of more than 4.
const MAX_CODE_POINTS: usize = 4 * MAX_LENGTH;

/// How many characters zxcvbn looks at together: its time grows with the cube of their number.
const SLICE: usize = 36;

/// The signs that zxcvbn tries to read as letters (digits are left out: they have one meaning or two).
const LETTER_LIKE: &str = "@({[<!|$+%";

/// How many different ones of them it tries: its time grows with the product of all their readings.
const MOST_LETTER_LIKE: usize = 4;

/// Passwords that many people had and that zxcvbn would take, in lower case: the first 10,000 such with at
/// least 12 characters among the million most common ones (Mark Burnett's list, as the crate
/// passablewords 0.1.1 ships it under the MIT license).
const COMMON: &str = include_str!("../../fixtures/common_passwords.txt");

/// A password in the clear. It cannot be printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

/// A new password, which is long enough. There are no composition rules (NIST SP 800-63B-4, 3.1.1.2).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct NewPassword(Password);

/// What is kept of a password: argon2id, in the PHC string format. It cannot be printed either.
#[derive(Clone)]
pub struct PasswordHash(String);

impl Password {
    /// A password to log in with. Composed and decomposed letters are the same (NFC), because
    /// keyboards differ (NIST SP 800-63B-4, 3.1.1.2). Of a text that is too long for any password no
    /// more is kept than shows that.
    pub fn given(text: &str) -> Self {
        Self(text.chars().take(MAX_CODE_POINTS + 1).nfc().collect())
    }

    /// Refuses a password that is easily guessed by who knows these names: what is left of it without
    /// them has to be hard to guess alone. It may take as long as a hash.
    ///
    /// # Errors
    /// The [`RuleViolation`] that says why it was refused.
    pub async fn check_against(
        &self,
        names: Vec<String>,
        turn: &Turn,
    ) -> Result<Result<(), RuleViolation>> {
        let password = self.clone();
        turn.work(move || password.judge(&names)).await
    }

    fn judge(&self, names: &[String]) -> Result<(), RuleViolation> {
        let guessable = |why: &str| {
            let message = format!("is easily guessed. {why}");
            Err(RuleViolation::new("guessable", message))
        };
        let folded = case_fold(&self.0);
        if COMMON.lines().any(|common| common == folded) {
            return guessable("This is a very common password.");
        }
        let names: Vec<_> = names.iter().map(String::as_str).collect();
        let left = without(&self.0, &names);
        let characters: Vec<_> = left.chars().collect();
        let mut warning = None;
        for slice in characters.chunks(SLICE) {
            let estimate = zxcvbn::zxcvbn(&readable(slice), &names);
            if estimate.score() >= zxcvbn::Score::Three {
                return Ok(());
            }
            let feedback = estimate.feedback();
            warning = warning.or_else(|| feedback.and_then(zxcvbn::feedback::Feedback::warning));
        }
        let rather = || "Use more words, or rarer ones.".to_owned();
        guessable(&warning.map_or_else(rather, |warning| warning.to_string()))
    }

    /// Hashes it.
    pub async fn hash(self, turn: &Turn) -> Result<PasswordHash> {
        let hash = turn.work(move || hash::hash_password(&self.0)).await??;
        Ok(PasswordHash(hash))
    }

    /// Whether this is the password behind `hash`. Without a hash (no account has that name) the result is
    /// false, and takes as long.
    pub async fn matches(self, hash: Option<PasswordHash>, turn: &Turn) -> Result<bool> {
        let verify = move || {
            let known = hash.is_some();
            let hash = hash.map_or_else(unknown_hash, |hash| hash.0);
            hash::verify_password(&self.0, &hash) && known
        };
        turn.work(verify).await
    }
}

impl NewPassword {
    /// Sets how many characters new passwords have at least.
    pub fn set_min_length(characters: usize) {
        MIN_LENGTH.store(characters, Ordering::Relaxed);
    }

    /// A random password, for a person to copy: 24 letters and digits.
    pub fn generated() -> Self {
        Self(Password(hash::random_string(24)))
    }

    /// The password in the clear, to show a generated one to its owner.
    pub fn reveal(&self) -> &str {
        &self.0.0
    }
}

impl From<NewPassword> for Password {
    fn from(new: NewPassword) -> Self {
        new.0
    }
}

impl Scalar for Password {
    /// Any text may be tried: which passwords there can be is not for strangers to learn.
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        Ok(Self::given(text))
    }

    fn schema() -> Schema {
        schema().into()
    }
}

impl Scalar for NewPassword {
    fn parse(text: &str) -> Result<Self, RuleViolation> {
        let (password, min) = (Password::given(text), MIN_LENGTH.load(Ordering::Relaxed));
        if (min..=MAX_LENGTH).contains(&password.0.chars().count()) {
            Ok(Self(password))
        } else {
            let message = format!("must have {min} to {MAX_LENGTH} characters");
            Err(RuleViolation::new("length", message))
        }
    }

    fn schema() -> Schema {
        let schema = schema().min_length(Some(MIN_LENGTH.load(Ordering::Relaxed)));
        schema.max_length(Some(MAX_LENGTH)).into()
    }
}

fn schema() -> ObjectBuilder {
    string().format(Some(SchemaFormat::KnownFormat(KnownFormat::Password)))
}

/// The text without the names that stand in it, whatever their case.
fn without(text: &str, names: &[&str]) -> String {
    let mut names: Vec<_> = names.iter().map(|name| case_fold(name)).collect();
    // A name may be part of a longer one.
    names.sort_by_key(|name| std::cmp::Reverse(name.len()));
    let folded = case_fold(text);
    let left = names
        .iter()
        .filter(|name| !name.is_empty())
        .fold(folded.clone(), |left, name| left.replace(name, ""));
    if left == folded {
        text.to_owned()
    } else {
        left
    }
}

/// The slice with only so many signs that zxcvbn may take for letters. The others become signs that are
/// none, each its own.
fn readable(slice: &[char]) -> String {
    let mut tried = Vec::new();
    let mut readable = String::new();
    for &sign in slice {
        if LETTER_LIKE.contains(sign) && !tried.contains(&sign) {
            if tried.len() == MOST_LETTER_LIKE {
                // The beginning of the private use area.
                readable.extend(char::from_u32(0xe000 + u32::from(sign)));
                continue;
            }
            tried.push(sign);
        }
        readable.push(sign);
    }
    readable
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
    pub const fn stored(hash: String) -> Self {
        Self(hash)
    }
}

impl From<PasswordHash> for String {
    fn from(hash: PasswordHash) -> Self {
        hash.0
    }
}

/// The hash of a random password.
fn unknown_hash() -> String {
    static HASH: OnceLock<String> = OnceLock::new();
    HASH.get_or_init(|| hash::hash_password(&hash::random_string(24)).unwrap_or_default())
        .clone()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use futures_util::FutureExt;

    use super::*;
    use crate::models::queue::{Client, Queue};

    async fn turn() -> Turn {
        let queue = Queue::new(1, 1, Duration::ZERO);
        queue.turn(Client::System).await.unwrap()
    }

    fn judged(text: &str, names: &[&str]) -> Result<(), RuleViolation> {
        let names: Vec<_> = names.iter().map(ToString::to_string).collect();
        Password::given(text).judge(&names)
    }

    #[test]
    fn a_new_password_is_12_to_128_characters_of_any_kind() {
        assert!(NewPassword::parse("ночной поезд идёт на юг").is_ok());
        assert!(NewPassword::parse("aaaaaaaaaaaa").is_ok());
        assert!(NewPassword::parse(&"\u{1f82}".repeat(128)).is_ok());
        let decomposed: String = "\u{1f82}".repeat(128).nfd().collect();
        assert_eq!(decomposed.chars().count(), MAX_CODE_POINTS);
        assert!(NewPassword::parse(&decomposed).is_ok());
        for text in [
            "kettle9anvi".to_owned(),
            "e\u{301}".repeat(11),
            "kettle anvil ".repeat(10),
            "e\u{301}".repeat(60_000),
        ] {
            let violation = NewPassword::parse(&text).unwrap_err();
            assert_eq!(violation.code, "length", "{text:.20}");
        }
    }

    #[test]
    fn no_more_of_a_text_is_composed_than_shows_that_it_is_too_long() {
        let huge = Password::given(&"e\u{301}".repeat(60_000));
        assert!(huge.0.chars().count() > MAX_LENGTH);
        assert!(huge.0.len() <= 4 * (MAX_CODE_POINTS + 1));
    }

    #[test]
    fn a_guessable_password_is_refused_with_the_reason() {
        let violation = judged("aaaaaaaaaaaaaaaa", &[]).unwrap_err();
        assert_eq!(violation.code, "guessable");
        let reason = violation.message.strip_prefix("is easily guessed. ");
        assert!(reason.is_some_and(|reason| !reason.is_empty()));
    }

    #[test]
    fn the_owners_names_make_it_guessable() {
        let passwords =
            "mirabelle.okonkwo Mirabelle.Okonkwo! mirabelle-okonkwo-2026! OkonkwoMirabelle1";
        for password in passwords.split(' ') {
            assert!(judged(password, &[]).is_ok(), "{password}");
            let refusal = judged(password, &["mirabelle.okonkwo", "mirabelle", "okonkwo"]);
            assert_eq!(refusal.unwrap_err().code, "guessable", "{password}");
        }
        assert!(judged("mirabelle salt kettle 9 anvil", &["mirabelle"]).is_ok());
    }

    #[test]
    fn a_long_password_is_not_refused_for_how_it_begins() {
        let begins_badly = format!("{} salt kettle 9 anvil fjord", "a".repeat(2 * SLICE));
        assert!(judged(&begins_badly, &[]).is_ok());
        assert!(judged(&"a".repeat(MAX_LENGTH), &[]).is_err());
    }

    #[test]
    fn signs_in_the_place_of_letters_do_not_help_a_common_word() {
        assert!(judged("p@$$w0rd!!11", &[]).is_err());
    }

    /// Every reading of every sign would be tried, and each is a look into all dictionaries.
    #[test]
    fn few_signs_are_read_as_letters() {
        let slice: Vec<_> = format!("{LETTER_LIKE}{LETTER_LIKE}").chars().collect();
        let readable = readable(&slice);
        let tried = readable.chars().filter(|sign| LETTER_LIKE.contains(*sign));
        assert_eq!(tried.count(), 2 * MOST_LETTER_LIKE);
        assert_eq!(readable.chars().count(), slice.len());
    }

    #[test]
    fn a_password_cannot_be_printed() {
        assert_eq!(format!("{:?}", Password::given("secret")), "Password(…)");
    }

    #[tokio::test]
    async fn only_the_right_password_matches_however_it_was_composed() {
        let turn = turn().await;
        let password = Password::given("caf\u{e9} kettle anvil");
        let hash = password.hash(&turn).await.unwrap();
        for (given, hash, right) in [
            ("cafe\u{301} kettle anvil", Some(hash.clone()), true),
            ("cafe kettle anvil", Some(hash), false),
            ("anything", None, false),
        ] {
            let matches = Password::given(given).matches(hash, &turn).await;
            assert_eq!(matches.unwrap(), right, "{given}");
        }
    }

    /// The runtime of this test has one thread: what computes on it leaves nothing to do afterwards.
    #[tokio::test]
    async fn the_async_threads_do_not_compute() {
        let (turn, password) = (turn().await, Password::given(&LETTER_LIKE.repeat(4)));
        let hash = Some(PasswordHash::stored(unknown_hash()));
        let hashed = password.clone().hash(&turn).now_or_never();
        let checked = password.check_against(Vec::new(), &turn).now_or_never();
        let matched = password.matches(hash, &turn).now_or_never();
        assert!(hashed.is_none() && checked.is_none() && matched.is_none());
    }
}
