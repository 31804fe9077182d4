//! Customer accounts: who may log in, as what, and the tokens that prove it.

use jsonwebtoken::{Algorithm, DecodingKey, TokenData, Validation};
use loco_rs::{auth::jwt::JWT, config};
use sea_orm::{
    ActiveValue::Set, ConnectionTrait, DbBackend, ExprTrait, IntoActiveModel, LoaderTrait,
    QuerySelect, Statement, entity::prelude::*, sea_query::Expr,
};
use serde::Deserialize;
use serde_json::{Map, Value, json};

pub use super::_entities::customer_accounts::{ActiveModel, Column, Entity, Model};
use super::{
    Actor, Error, Result, Topic, Transaction, customers,
    error::{BrokenRule, taken},
    idempotency_keys,
    listing::{self, Listing, Mark, Page, Position, SortKey},
    now, order_events,
    queue::{Client, Turn, hashing},
    stock_movements,
    types::{Password, PasswordHash, Role, Scalar, Username, fold},
};

/// Who issues the tokens and for whom they are meant (RFC 8725, 3.8 and 3.9).
const TOKEN_ISSUER: &str = "boxcar";

/// What everybody knows of the store, and tries first in a password.
const STORE_NAMES: [&str; 3] = [TOKEN_ISSUER, "shop", "store"];

/// By how much a token may seem to come from the future.
const MAX_CLOCK_SKEW_SECONDS: i64 = 60;

impl ActiveModelBehavior for ActiveModel {}

/// An account with its customer, if it has one.
pub type WithCustomer = (Model, Option<customers::Model>);

/// What an account is made from.
#[derive(Clone, Debug)]
pub struct Registration {
    /// Whose account it is. Only administrators may have none.
    pub customer_id: Option<i64>,
    /// The name to log in with.
    pub username: Username,
    /// The password to log in with.
    pub password: Password,
    /// What the account may do.
    pub role: Role,
}

/// What is to change of an account: what is `None` stays.
#[derive(Clone, Debug, Default)]
pub struct Changes {
    /// The name to log in with.
    pub username: Option<Username>,
    /// The password to log in with.
    pub password: Option<Password>,
    /// What the account may do.
    pub role: Option<Role>,
}

/// A new password, and the one that shows who asks for it.
#[derive(Clone, Debug)]
pub struct PasswordChange {
    /// The account's password.
    pub current: Password,
    /// Its next one.
    pub new: Password,
}

/// Who verifies tokens.
pub struct Verifier {
    /// The one that signs, and the one that did before.
    keys: Vec<DecodingKey>,
    rules: Validation,
}

/// What a token says.
#[derive(Clone, Debug, Deserialize)]
pub struct Claims {
    /// Which account it proves.
    pub pid: String,
    /// Which of the account's versions.
    pub version: i64,
    /// When it was made, in seconds since 1970.
    iat: i64,
    /// When it expires, in seconds since 1970.
    pub exp: i64,
}

/// Something with its password hashed, which takes too long for a transaction.
#[derive(Clone, Debug)]
pub struct Hashed<T> {
    what: T,
    password_hash: Option<PasswordHash>,
    /// The version of the account when the caller's password was verified.
    proven_version: Option<i64>,
}

/// Which accounts are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Filter {
    /// Text that stands anywhere in the username.
    pub q: Option<String>,
    /// What they may do.
    pub role: Option<Role>,
}

/// What accounts are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Key {
    /// The id.
    Id,
    /// The username.
    Username,
    /// When they were made.
    CreatedAt,
}

impl SortKey<Entity> for Key {
    fn column(self) -> Option<Column> {
        match self {
            Self::Id => None,
            Self::Username => Some(Column::Username),
            Self::CreatedAt => Some(Column::CreatedAt),
        }
    }

    fn id() -> Column {
        Column::Id
    }

    fn position(self, row: &Model) -> Position {
        let mark = match self {
            Self::Id => Mark::Id,
            Self::Username => Mark::Text(row.username.clone()),
            Self::CreatedAt => Mark::Time(row.created_at),
        };
        Position { mark, id: row.id }
    }
}

impl Model {
    /// The account with that id, with its customer.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<WithCustomer> {
        let account = Entity::find_by_id(id)
            .find_also_related(customers::Entity)
            .one(db)
            .await?;
        account.ok_or(Error::NotFound)
    }

    /// The account that a token names.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn find_by_pid(db: &impl ConnectionTrait, pid: &str) -> Result<Self> {
        Entity::find()
            .filter(Column::Pid.eq(pid))
            .one(db)
            .await?
            .ok_or(Error::NotFound)
    }

    /// The account with the username that was typed, if there is one.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_by_username(
        db: &impl ConnectionTrait,
        username: &str,
    ) -> Result<Option<Self>> {
        let Ok(username) = Username::parse(username) else {
            return Ok(None);
        };
        let account = Entity::find().filter(Column::Username.eq(username.as_str()));
        Ok(account.one(db).await?)
    }

    /// The account with that id, with its customer, locked until the transaction ends. The
    /// administrators are locked with it, all in the order of their ids, because how many there are
    /// decides what may become of one of them.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn find_locked(txn: &Transaction, id: i64) -> Result<WithCustomer> {
        let administrators = Column::Role.eq(Role::Admin.as_str());
        Entity::find()
            .filter(Column::Id.eq(id).or(administrators))
            .order_by_id_asc()
            .lock_exclusive()
            .all(txn)
            .await?;
        Self::find(txn, id).await
    }

    /// Refuses an account that is not what it was when its token was proven: it may be gone, and every new
    /// password, role and logout raises its version. From then on it stays as it is until the transaction
    /// ends, while other transactions may ask the same.
    ///
    /// # Errors
    /// [`Error::Revoked`].
    pub async fn assert_current(txn: &Transaction, id: i64, token_version: i64) -> Result<()> {
        let backend = txn.get_database_backend();
        let current = "SELECT token_version FROM customer_accounts WHERE id =";
        let current = match backend {
            // MariaDB does not know FOR SHARE.
            DbBackend::MySql => format!("{current} ? LOCK IN SHARE MODE"),
            DbBackend::Postgres => format!("{current} $1 FOR SHARE"),
            _ => format!("{current} ?"),
        };
        let current = Statement::from_sql_and_values(backend, current, [id.into()]);
        let current = txn.query_one_raw(current).await?;
        let current = current.map(|row| row.try_get::<i64>("", "token_version"));
        if current.transpose()? == Some(token_version) {
            Ok(())
        } else {
            Err(Error::Revoked)
        }
    }

    /// The customer's account, locked until the transaction ends.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn find_of_customer(txn: &Transaction, customer_id: i64) -> Result<Option<Self>> {
        Ok(Entity::find()
            .filter(Column::CustomerId.eq(customer_id))
            .lock_exclusive()
            .one(txn)
            .await?)
    }

    /// The account with that name and password, or nothing; which of the two was wrong is not told,
    /// nor does the time it takes tell.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn authenticate(
        db: &impl ConnectionTrait,
        username: &str,
        password: Password,
        turn: &Turn,
    ) -> Result<Option<Self>> {
        let account = Self::find_by_username(db, username).await?;
        let hash = account
            .as_ref()
            .map(|account| PasswordHash::stored(account.password_hash.clone()));
        let matches = password.matches(hash, turn).await?;
        Ok(account.filter(|_| matches))
    }

    /// Whether there is an administrator.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn any_administrator(db: &impl ConnectionTrait) -> Result<bool> {
        Ok(Entity::find()
            .filter(Column::Role.eq(Role::Admin.as_str()))
            .one(db)
            .await?
            .is_some())
    }

    /// A page of accounts with their customers.
    ///
    /// # Errors
    /// When the database does not answer.
    pub async fn list(
        db: &impl ConnectionTrait,
        listing: &Listing<Filter, Key>,
    ) -> Result<Page<WithCustomer>> {
        let mut select = Entity::find();
        if let Some(q) = &listing.filter.q {
            select = select.filter(Expr::col(Column::Username).like(listing::containing(&fold(q))));
        }
        if let Some(role) = listing.filter.role {
            select = select.filter(Column::Role.eq(role.as_str()));
        }
        let Page {
            items,
            page_size,
            place,
        } = listing::fetch(db, select, listing).await?;
        let customers = if items.is_empty() {
            Vec::new()
        } else {
            items.load_one(customers::Entity, db).await?
        };
        Ok(Page {
            items: items.into_iter().zip(customers).collect(),
            page_size,
            place,
        })
    }

    /// Makes an account.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such customer, [`Error::Taken`] for the username, or when the
    /// customer has an account.
    pub async fn create(
        txn: &Transaction,
        registration: &Hashed<Registration>,
    ) -> Result<WithCustomer> {
        let Hashed {
            what: registration,
            password_hash,
            ..
        } = registration;
        let customer = match registration.customer_id {
            Some(id) => Some(
                customers::Model::find_locked(txn, id)
                    .await
                    .map_err(unknown_customer)?,
            ),
            None => None,
        };
        txn.touch([Topic::Accounts]);
        let now = now();
        let account = ActiveModel {
            pid: Set(uuid::Uuid::new_v4().to_string()),
            customer_id: Set(registration.customer_id),
            username: Set(registration.username.as_str().to_owned()),
            password_hash: Set(password_hash.clone().map(String::from).unwrap_or_default()),
            role: Set(registration.role.as_str().to_owned()),
            token_version: Set(0),
            created_at: Set(now),
            updated_at: Set(now),
            ..Default::default()
        };
        let account = account
            .insert(txn)
            .await
            .map_err(|error| match taken_customer(error) {
                Error::Db(error) => username_taken()(error),
                refusal => refusal,
            })?;
        Ok((account, customer))
    }

    /// Changes some of the account, which has to be locked. A new password or role ends the tokens that
    /// are out.
    ///
    /// # Errors
    /// [`Error::Revoked`] when the password that was verified has been replaced,
    /// [`Error::Taken`] for the username, [`Error::LastAdministrator`] when that is
    /// demoted, [`Error::Invalid`] when an account without a customer is.
    pub async fn change(
        self,
        txn: &Transaction,
        changes: &Hashed<Changes>,
    ) -> Result<WithCustomer> {
        let Hashed {
            what: changes,
            password_hash,
            proven_version,
        } = changes;
        let (id, account) = (self.id, self);
        if proven_version.is_some_and(|version| version != account.token_version) {
            return Err(Error::Revoked);
        }
        if changes.role == Some(Role::Customer) && account.role() == Role::Admin {
            if administrators_locked(txn).await?.len() < 2 {
                return Err(Error::LastAdministrator);
            }
            if account.customer_id.is_none() {
                let rule = BrokenRule::at(
                    "/role",
                    "choice",
                    "must stay admin: the account belongs to no customer",
                );
                return Err(Error::Invalid(vec![rule]));
            }
        }
        account.touch(txn);
        let ends_tokens =
            password_hash.is_some() || changes.role.is_some_and(|role| role != account.role());
        let version = account.token_version;
        let mut account = account.into_active_model();
        if let Some(username) = &changes.username {
            account.username = Set(username.as_str().to_owned());
        }
        if let Some(hash) = password_hash {
            account.password_hash = Set(hash.clone().into());
        }
        if let Some(role) = changes.role {
            account.role = Set(role.as_str().to_owned());
        }
        if ends_tokens {
            account.token_version = Set(version + 1);
        }
        account.updated_at = Set(now());
        account.update(txn).await.map_err(username_taken())?;
        Self::find(txn, id).await
    }

    /// Deletes the account, and with it the tokens that are out.
    ///
    /// # Errors
    /// [`Error::LastAdministrator`].
    pub async fn delete(self, txn: &Transaction) -> Result<()> {
        self.touch(txn);
        if administrators_locked(txn).await? == [self.id] {
            return Err(Error::LastAdministrator);
        }
        if let Some(customer_id) = self.customer_id {
            // Histories show a username to everybody who sees them, and who will erase it when the
            // customer goes one day? Staff who are no customers stay named: they acted for the store.
            let name = format!("customer {customer_id}");
            order_events::Model::forget_actor(txn, self.id, &name).await?;
            stock_movements::Model::forget_actor(txn, self.id, &name).await?;
            idempotency_keys::Model::forget_account(txn, self.id, customer_id).await?;
        }
        let deleted = Entity::delete_by_id(self.id).exec(txn).await?;
        if deleted.rows_affected == 0 {
            Err(Error::NotFound)
        } else {
            Ok(())
        }
    }

    /// Ends the tokens that are out.
    ///
    /// # Errors
    /// When the database refuses.
    pub async fn log_out(self, txn: &Transaction) -> Result<()> {
        self.touch(txn);
        Entity::update_many()
            .col_expr(Column::TokenVersion, Expr::col(Column::TokenVersion).add(1))
            .filter(Column::Id.eq(self.id))
            .exec(txn)
            .await?;
        Ok(())
    }

    fn touch(&self, txn: &Transaction) {
        txn.touch([Topic::Accounts, Topic::Login(self.pid.clone())]);
    }

    /// The same, without what should not lie about in memory.
    #[must_use]
    pub fn without_password(self) -> Self {
        Self {
            password_hash: String::new(),
            ..self
        }
    }

    /// The names of the fields in which it differs from what it was.
    #[must_use]
    pub fn changed_since(&self, before: &Self) -> Vec<&'static str> {
        [
            ("username", self.username != before.username),
            ("password", self.password_hash != before.password_hash),
            ("role", self.role != before.role),
        ]
        .into_iter()
        .filter_map(|(field, differs)| differs.then_some(field))
        .collect()
    }

    /// What the account may do.
    #[must_use]
    pub fn role(&self) -> Role {
        // The table's CHECK allows no other word; whoever got past it may do the least.
        Role::parse(&self.role).unwrap_or(Role::Customer)
    }

    /// The account, as it stands in history.
    #[must_use]
    pub fn actor(&self) -> Actor {
        Actor {
            account_id: Some(self.id),
            name: self.username.clone(),
        }
    }

    /// A token that proves the account until it expires or the account's version is raised.
    ///
    /// # Errors
    /// When the secret cannot be used.
    pub fn token(&self, config: &config::JWT) -> Result<String> {
        let claims: Map<String, Value> = [
            ("iss", json!(TOKEN_ISSUER)),
            ("aud", json!(TOKEN_ISSUER)),
            ("iat", json!(chrono::Utc::now().timestamp())),
            ("jti", json!(uuid::Uuid::new_v4())),
            ("role", json!(self.role)),
            ("version", json!(self.token_version)),
        ]
        .into_iter()
        .map(|(claim, value)| (claim.to_owned(), value))
        .collect();
        let token =
            JWT::new(&config.secret).generate_token(config.expiration, self.pid.clone(), claims);
        Ok(token.map_err(loco_rs::Error::msg)?)
    }
}

impl Verifier {
    /// Who takes what was signed with the store's secret, or the one before.
    ///
    /// # Errors
    /// When one is not base64.
    pub fn new(secret: &str, previous: Option<&str>) -> Result<Self> {
        let mut rules = Validation::new(Algorithm::HS512);
        rules.leeway = 0;
        rules.validate_nbf = true;
        rules.set_issuer(&[TOKEN_ISSUER]);
        rules.set_audience(&[TOKEN_ISSUER]);
        rules.set_required_spec_claims(&["exp", "iss", "aud"]);
        let key = |secret: &str| {
            DecodingKey::from_base64_secret(secret)
                .map_err(|error| loco_rs::Error::Message(format!("JWT_SECRET: {error}")))
        };
        let keys = [Some(secret), previous].into_iter().flatten();
        Ok(Self {
            keys: keys.map(key).collect::<Result<_, _>>()?,
            rules,
        })
    }

    /// What a token says, if this store has signed it for itself and it has not expired. Not Loco's own
    /// `validate`, which refuses every token that names an audience.
    #[must_use]
    pub fn claims(&self, token: &str) -> Option<Claims> {
        let TokenData::<Claims> { header, claims } = self
            .keys
            .iter()
            .find_map(|key| jsonwebtoken::decode(token, key, &self.rules).ok())?;
        // What the header asks for has to be understood (RFC 7515, section 4.1.11), and a token of another
        // type is not one to log in with (RFC 8725, section 3.11).
        let is_plain = header.crit.is_none() && header.zip.is_none() && header.cty.is_none();
        let is_ours = header.typ.is_none_or(|typ| typ.eq_ignore_ascii_case("JWT"));
        // Another node's clock may be a little ahead.
        let is_due = claims.iat <= chrono::Utc::now().timestamp() + MAX_CLOCK_SKEW_SECONDS;
        (is_plain && is_ours && is_due).then_some(claims)
    }
}

/// The administrators' ids, locked, so that two of them cannot leave the store without any.
async fn administrators_locked(txn: &Transaction) -> Result<Vec<i64>> {
    let administrators = Entity::find()
        .filter(Column::Role.eq(Role::Admin.as_str()))
        .order_by_id_asc()
        .lock_exclusive()
        .all(txn)
        .await?;
    Ok(administrators
        .into_iter()
        .map(|account| account.id)
        .collect())
}

impl Registration {
    /// An administrator who is no customer.
    #[must_use]
    pub const fn administrator(username: Username, password: Password) -> Self {
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
    /// [`Error::Invalid`] when it is guessable, or when there is no such customer; [`Error::Busy`].
    pub async fn hashed(self, db: &impl ConnectionTrait, client: Client) -> Result<Hashed<Self>> {
        let customer = match self.customer_id {
            Some(id) => Some(
                customers::Model::find(db, id)
                    .await
                    .map_err(unknown_customer)?,
            ),
            None => None,
        };
        let turn = hashing().turn(client).await?;
        let names = names_in(self.username.as_str(), customer.as_ref());
        let password_hash = hashed(self.password.clone(), names, "/password", &turn).await?;
        Ok(Hashed {
            what: self,
            password_hash: Some(password_hash),
            proven_version: None,
        })
    }
}

impl Hashed<Registration> {
    /// The same account for a customer who did not exist yet.
    #[must_use]
    pub const fn for_customer(mut self, id: i64) -> Self {
        self.what.customer_id = Some(id);
        self
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
                let names = names_in(username.unwrap_or(&account.username), customer.as_ref());
                Some(hashed(password, names, "/password", &turn).await?)
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
        let (account, customer) =
            Model::find(db, caller.id)
                .await
                .map_err(|error| match error {
                    Error::NotFound => Error::Revoked,
                    error => error,
                })?;
        if account.token_version != caller.token_version {
            return Err(Error::Revoked);
        }
        let hash = PasswordHash::stored(account.password_hash);
        if !self.current.clone().matches(Some(hash), turn).await? {
            return Err(Error::WrongPassword);
        }
        if self.new == self.current {
            let rule = BrokenRule::at(
                "/new_password",
                "unchanged",
                "must differ from the current password",
            );
            return Err(Error::Invalid(vec![rule]));
        }
        let names = names_in(&account.username, customer.as_ref());
        let password_hash = hashed(self.new, names, "/new_password", turn).await?;
        Ok(Hashed {
            what: Changes::default(),
            password_hash: Some(password_hash),
            proven_version: Some(account.token_version),
        })
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
        Err(violation) => Err(Error::Invalid(vec![BrokenRule {
            pointer: pointer.to_owned(),
            violation,
        }])),
    }
}

/// What those who know an account's owner try first.
fn names_in(username: &str, customer: Option<&customers::Model>) -> Vec<String> {
    let mut names = vec![username];
    names.extend(STORE_NAMES);
    names.extend(
        customer
            .iter()
            .flat_map(|customer| [customer.name.as_str(), customer.email.as_str()]),
    );
    // A surname alone, or an email without its domain, is as easily tried as the whole.
    let parts = names
        .iter()
        .flat_map(|name| name.split(|letter: char| !letter.is_alphanumeric()))
        .filter(|part| part.chars().count() > 2);
    names
        .iter()
        .copied()
        .chain(parts)
        .map(ToOwned::to_owned)
        .collect()
}

fn unknown_customer(error: Error) -> Error {
    match error {
        Error::NotFound => Error::Invalid(vec![BrokenRule::at(
            "/customer_id",
            "reference",
            "is no customer",
        )]),
        error => error,
    }
}

fn taken_customer(error: DbErr) -> Error {
    taken(
        "uq_customer_accounts_customer_id",
        "/customer_id",
        "has an account already",
    )(error)
}

fn username_taken() -> impl Fn(DbErr) -> Error {
    taken(
        "uq_customer_accounts_username",
        "/username",
        "belongs to another account",
    )
}
