//! Passwords of accounts: what is sent, and what is hashed before a transaction begins.

use sea_orm::ConnectionTrait;

use super::{Changes, Model, NewAccount, WithCustomer};
use crate::models::{
    Error, Result, codes, customers,
    error::FieldError,
    input::Input,
    queue::{Client, Turn, hashing},
    types::{Code, CodeKind, NewPassword, Password, PasswordHash, RawText, Role, Username},
};

/// What is known of every store, and tried first in a password.
const STORE_NAMES: [&str; 3] = ["boxcar", "shop", "store"];

/// A name and a password to log in with.
#[derive(Clone, Debug, Input)]
#[input(schema = LoginBody)]
pub struct Login {
    /// The account's name, or the email address of its customer.
    pub username: RawText,
    /// Its password.
    pub password: Password,
}

/// A new password, and the current one, which shows who asks for it.
#[derive(Clone, Debug, Input)]
#[input(schema = PasswordChangeBody)]
pub struct PasswordChange {
    /// The password to log in with so far.
    pub current_password: Password,
    /// The password to log in with from now on, of any characters, as long as it is not easily guessed.
    pub new_password: NewPassword,
}

/// A new password, and the code that shows who asks for it.
#[derive(Clone, Debug, Input)]
#[input(schema = PasswordResetBody)]
pub struct PasswordReset {
    /// The `token` of the link in the mail.
    pub token: Code,
    /// The password to log in with from now on, of any characters, as long as it is not easily guessed.
    pub new_password: NewPassword,
}

/// Something with its password hashed, which takes too long for a transaction.
#[derive(Clone, Debug)]
pub struct Hashed<T> {
    pub(super) what: T,
    pub(super) password_hash: Option<PasswordHash>,
    /// The version of the account when the caller's password was verified.
    pub(super) proven_version: Option<i64>,
}

impl NewAccount {
    /// An administrator without a customer.
    pub const fn administrator(username: Username, password: NewPassword) -> Self {
        Self {
            customer_id: None,
            username,
            password,
            role: Role::Admin,
        }
    }

    /// Refuses a password that the account's own names make easy to guess, and hashes any other, when it
    /// is the turn of `client`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is guessable, or when the customer does not exist; [`Error::Busy`].
    pub async fn hashed(self, db: &impl ConnectionTrait, client: Client) -> Result<Hashed<Self>> {
        let customer = match self.customer_id {
            Some(id) => {
                let customer = customers::Model::find(db, id).await;
                Some(customer.map_err(customers::unknown)?)
            }
            None => None,
        };
        let person = customer.as_ref().map(person);
        self.hashed_for(person, client).await
    }

    /// The same for the account of a person of that name and that email address, who need be no customer yet.
    ///
    /// # Errors
    /// As [`hashed`](Self::hashed).
    pub async fn hashed_for(
        self,
        person: Option<(&str, &str)>,
        client: Client,
    ) -> Result<Hashed<Self>> {
        let turn = hashing().turn(client).await?;
        let names = names_in(self.username.as_str(), person);
        let password_hash = hashed(self.password.clone().into(), names, "/password", &turn).await?;
        Ok(Hashed {
            what: self,
            password_hash: Some(password_hash),
            proven_version: None,
        })
    }
}

impl Hashed<NewAccount> {
    /// The same account for a customer who did not exist yet.
    #[must_use]
    pub const fn for_customer(mut self, id: i64) -> Self {
        self.what.customer_id = Some(id);
        self
    }

    /// The same account under another name.
    #[must_use]
    pub fn named(mut self, username: Username) -> Self {
        self.what.username = username;
        self
    }
}

impl Model {
    /// The account as it is now, with its customer, if that is its password.
    ///
    /// # Errors
    /// [`Error::WrongPassword`]; [`Error::Revoked`] when the account is not what the caller's token proved any more.
    pub async fn proven(
        &self,
        db: &impl ConnectionTrait,
        password: Password,
        turn: &Turn,
    ) -> Result<WithCustomer> {
        let (account, customer) = match Self::find(db, self.id).await {
            Ok((account, _)) if account.token_version != self.token_version => {
                return Err(Error::Revoked);
            }
            Err(Error::NotFound) => return Err(Error::Revoked),
            found => found?,
        };
        let hash = PasswordHash::stored(account.password_hash.clone());
        if password.matches(Some(hash), turn).await? {
            Ok((account, customer))
        } else {
            Err(Error::WrongPassword)
        }
    }
}

impl Changes {
    /// Refuses a password that the names of account `id` make easy to guess, and hashes any other, when
    /// it is the turn of `client`.
    ///
    /// # Errors
    /// [`Error::Invalid`] when it is guessable, [`Error::NotFound`], [`Error::Busy`].
    pub async fn hashed(
        self,
        db: &impl ConnectionTrait,
        id: i64,
        client: Client,
    ) -> Result<Hashed<Self>> {
        let password_hash = match self.password.clone() {
            None => None,
            Some(password) => {
                let (account, customer) = Model::find(db, id).await?;
                let turn = hashing().turn(client).await?;
                let username = self.username.as_ref().map(Username::as_str);
                let customer = customer.as_ref().map(person);
                let names = names_in(username.unwrap_or(&account.username), customer);
                Some(hashed(password.into(), names, "/password", &turn).await?)
            }
        };
        Ok(Hashed {
            what: self,
            password_hash,
            proven_version: None,
        })
    }
}

impl PasswordChange {
    /// Refuses a wrong password, or a new one that is the same or easily guessed, and hashes any other.
    /// The change is good only as long as the password is the one that was checked.
    ///
    /// # Errors
    /// [`Error::WrongPassword`], [`Error::Invalid`], [`Error::Revoked`] when the account is not
    /// what the caller's token proved any more.
    pub async fn hashed(
        self,
        db: &impl ConnectionTrait,
        caller: &Model,
        turn: &Turn,
    ) -> Result<Hashed<Changes>> {
        let new = Password::from(self.new_password);
        let current = self.current_password.clone();
        let (account, customer) = caller.proven(db, current, turn).await?;
        if new == self.current_password {
            let message = "must differ from the current password";
            return Err(FieldError::at("/new_password", "unchanged", message).into());
        }
        let names = names_in(&account.username, customer.as_ref().map(person));
        let password_hash = hashed(new, names, "/new_password", turn).await?;
        Ok(Hashed {
            what: Changes::default(),
            password_hash: Some(password_hash),
            proven_version: Some(account.token_version),
        })
    }
}

impl PasswordReset {
    /// Whose code it is, and the change, with a password hashed that is not easily guessed. The code is looked up before
    /// anything is hashed, so that strangers cannot make the server work.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the code does not work, or the password is guessable; [`Error::Busy`].
    pub async fn hashed(
        self,
        db: &impl ConnectionTrait,
        client: Client,
    ) -> Result<(i64, Hashed<Changes>)> {
        let code = codes::Model::find(db, CodeKind::PasswordReset, &self.token).await?;
        let account = Model::find(db, code.account_id.unwrap_or_default()).await;
        let (account, customer) = account.map_err(refused_if_gone)?;
        let turn = hashing().turn(client).await?;
        let names = names_in(&account.username, customer.as_ref().map(person));
        let password_hash = hashed(self.new_password.into(), names, "/new_password", &turn).await?;
        let changes = Hashed {
            what: Changes::default(),
            password_hash: Some(password_hash),
            proven_version: None,
        };
        Ok((account.id, changes))
    }
}

/// The code of an account that is gone does not work.
pub(super) fn refused_if_gone(error: Error) -> Error {
    match error {
        Error::NotFound => Code::refused(),
        error => error,
    }
}

/// The hash of a new password that does not make itself easy to guess.
async fn hashed(
    password: Password,
    names: Vec<String>,
    pointer: &str,
    turn: &Turn,
) -> Result<PasswordHash> {
    match password.check_against(names, turn).await? {
        Ok(()) => password.hash(turn).await,
        Err(violation) => Err(FieldError::new(pointer, violation).into()),
    }
}

/// A customer's name and email address.
fn person(customer: &customers::Model) -> (&str, &str) {
    (&customer.name, &customer.email)
}

/// What those who know an account's owner try first: the username, the name and the email address.
fn names_in(username: &str, person: Option<(&str, &str)>) -> Vec<String> {
    let mut names = vec![username];
    names.extend(STORE_NAMES);
    names.extend(person.into_iter().flat_map(<[_; 2]>::from));
    // A surname alone, or an email without its domain, is as easily tried as the whole.
    let parts = names
        .iter()
        .flat_map(|name| name.split(|letter: char| !letter.is_alphanumeric()))
        .filter(|part| part.chars().count() > 2);
    let all = names.iter().copied().chain(parts);
    all.map(ToOwned::to_owned).collect()
}
