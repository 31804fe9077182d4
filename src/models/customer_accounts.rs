//! Customer accounts: who may log in, as what, and the tokens that prove it.

mod passwords;
mod tokens;

use rand::Rng;
use sea_orm::{
    ActiveValue::Set, Condition, ConnectionTrait, DbBackend, ExprTrait, IntoActiveModel,
    LoaderTrait, QuerySelect, Statement, entity::prelude::*, sea_query::Expr,
};
use strum::{EnumString, IntoStaticStr, VariantNames};

pub use self::{
    passwords::{Hashed, Login, PasswordChange, PasswordReset},
    tokens::{Claims, Verifier},
};
pub use super::_entities::customer_accounts::{ActiveModel, Column, Entity, Model};
use super::{
    Actor, CacheTag, Error, Result, Transaction, api_keys, codes, customers,
    error::{FieldError, taken},
    events, found, idempotency_keys,
    input::Input,
    listing::{self, Listing, Page, Sort, SortKey},
    now, order_events,
    queue::Turn,
    statement::statement,
    stock_movements,
    types::{
        ActorKind, Code, CodeKind, EventType, NewPassword, Password, PasswordHash, Role, Scalar,
        Search, Username, case_fold,
    },
    update,
};

impl ActiveModelBehavior for ActiveModel {}

/// An account with its customer, if it has one.
pub type WithCustomer = (Model, Option<customers::Model>);

/// An account that is gone.
#[derive(Clone, Debug)]
pub struct Former {
    /// The account, as it was.
    pub account: Model,
    /// The API keys that it has made, which stay: the id and the name of each.
    pub api_keys: Vec<(i64, String)>,
}

/// What an account is created from.
#[derive(Clone, Debug, Input)]
#[input(schema = CustomerAccountBody)]
pub struct Registration {
    /// The customer it belongs to.
    pub customer_id: i64,
    /// The name to log in with: letters a-z, digits, dot, underscore and hyphen.
    pub username: Username,
    /// The password to log in with, of any characters, as long as it is not easily guessed.
    pub password: NewPassword,
    /// What the account may do: `customer` unless said otherwise.
    pub role: Option<Role>,
}

/// What an account is replaced with.
#[derive(Clone, Debug, Input)]
#[input(schema = CredentialsBody)]
pub struct Credentials {
    /// The name to log in with.
    pub username: Username,
    /// The password to log in with.
    pub password: NewPassword,
}

/// What is to change of an account. A field that is missing stays as it is.
#[derive(Clone, Debug, Default, Input)]
#[input(schema = CustomerAccountPatch)]
pub struct Changes {
    /// The name to log in with.
    #[input(change)]
    pub username: Option<Username>,
    /// The password to log in with. A new one ends the tokens that are out.
    #[input(change)]
    pub password: Option<NewPassword>,
    /// What the account may do. A new role ends the tokens that are out.
    #[input(change)]
    pub role: Option<Role>,
}

/// A new account, whose password is not hashed yet.
#[derive(Clone, Debug)]
pub struct NewAccount {
    /// The customer it belongs to. Only administrators may have none.
    pub customer_id: Option<i64>,
    /// The name to log in with.
    pub username: Username,
    /// The password to log in with.
    pub password: NewPassword,
    /// What the account may do.
    pub role: Role,
}

impl From<Registration> for NewAccount {
    fn from(registration: Registration) -> Self {
        Self {
            customer_id: Some(registration.customer_id),
            username: registration.username,
            password: registration.password,
            role: registration.role.unwrap_or(Role::Customer),
        }
    }
}

impl NewAccount {
    /// Refuses a key that is used to add an administrator.
    ///
    /// # Errors
    /// [`Error::OutOfReach`].
    pub fn assert_within_reach_of(&self, actor: &Actor) -> Result<()> {
        assert_grantable(Some(self.role), actor)
    }
}

impl Changes {
    /// Refuses a key that is used to make somebody an administrator.
    ///
    /// # Errors
    /// [`Error::OutOfReach`].
    pub fn assert_within_reach_of(&self, actor: &Actor) -> Result<()> {
        assert_grantable(self.role, actor)
    }
}

fn assert_grantable(role: Option<Role>, actor: &Actor) -> Result<()> {
    if actor.kind == ActorKind::ApiKey && role == Some(Role::Admin) {
        return Err(Error::OutOfReach);
    }
    Ok(())
}

impl From<Credentials> for Changes {
    fn from(credentials: Credentials) -> Self {
        Self {
            username: Some(credentials.username),
            password: Some(credentials.password),
            role: None,
        }
    }
}

/// Which accounts are listed.
#[derive(Clone, Debug, Default, PartialEq, Eq, Input)]
pub struct Filter {
    /// Text anywhere in the username.
    pub q: Option<Search>,
    /// What they may do.
    pub role: Option<Role>,
}

impl listing::Filter for Filter {
    fn condition(&self) -> Condition {
        let role = self.role.map(|role| Column::Role.eq(role.as_str()));
        Condition::all()
            .add_option(listing::contains(Column::Username, self.q.as_ref()))
            .add_option(role)
    }

    fn search(&self) -> Option<&str> {
        self.q.as_ref().map(Search::as_str)
    }

    fn counted_by(&self) -> Option<CacheTag> {
        self.q.is_none().then_some(CacheTag::Membership)
    }
}

/// What accounts are sorted by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, EnumString, IntoStaticStr, VariantNames)]
#[strum(serialize_all = "snake_case")]
pub enum Key {
    /// The id.
    Id,
    /// The username.
    Username,
    /// When they were created.
    CreatedAt,
}

impl SortKey for Key {
    type Entity = Entity;

    const ID: Column = Column::Id;
    const DEFAULT: Sort<Self> = Sort::ascending(Self::Id);

    fn column(self) -> Option<Column> {
        match self {
            Self::Id => None,
            Self::Username => Some(Column::Username),
            Self::CreatedAt => Some(Column::CreatedAt),
        }
    }
}

impl Model {
    /// The account with that id, with its customer.
    pub async fn find(db: &impl ConnectionTrait, id: i64) -> Result<WithCustomer> {
        let account = Entity::find_by_id(id).find_also_related(customers::Entity);
        account.one(db).await?.ok_or(Error::NotFound)
    }

    /// The account that a token names.
    pub async fn find_by_pid(db: &impl ConnectionTrait, pid: &str) -> Result<Self> {
        found(db, Entity::find().filter(Column::Pid.eq(pid))).await
    }

    /// The account with the username that was typed, if there is one.
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

    /// The account whose name or whose customer's email address was typed, if there is one. No name of an account has an
    /// `@`, so that nobody can take another's address for a name.
    pub async fn find_by_login(db: &impl ConnectionTrait, login: &str) -> Result<Option<Self>> {
        if !login.contains('@') {
            return Self::find_by_username(db, login).await;
        }
        let account = Entity::find()
            .inner_join(customers::Entity)
            .filter(customers::Column::EmailKey.eq(case_fold(login)))
            .filter(customers::Column::Erased.eq(false));
        Ok(account.one(db).await?)
    }

    /// The account with that id, with its customer, locked until the transaction ends. With that of an administrator
    /// all others' are locked, in the order of their ids, because how many there are decides what may become of it.
    pub async fn find_locked(txn: &Transaction, id: i64) -> Result<WithCustomer> {
        lock(txn, id).await?.ok_or(Error::NotFound)?;
        Self::find(txn, id).await
    }

    /// The same, for somebody who is going to change or delete it.
    ///
    /// # Errors
    /// [`Error::OutOfReach`] when it is an administrator's, and they have come with a key.
    pub async fn find_locked_for(
        txn: &Transaction,
        id: i64,
        actor: &Actor,
    ) -> Result<WithCustomer> {
        let account = Self::find_locked(txn, id).await?;
        account.0.assert_within_reach_of(actor)?;
        Ok(account)
    }

    /// Refuses a key that is used to change or delete the account of an administrator, or the customer whose it is. The
    /// account has to be locked: somebody may become an administrator meanwhile.
    ///
    /// # Errors
    /// [`Error::OutOfReach`].
    pub fn assert_within_reach_of(&self, actor: &Actor) -> Result<()> {
        if actor.kind == ActorKind::ApiKey && self.role() == Role::Admin {
            return Err(Error::OutOfReach);
        }
        Ok(())
    }

    /// Refuses an account that is not what it was when its token was proven: it may be gone, and every new
    /// password, role and logout raises its version. From then on it stays as it is until the transaction
    /// ends, while other transactions may ask the same.
    ///
    /// # Errors
    /// [`Error::Revoked`].
    pub async fn assert_current(txn: &Transaction, id: i64, token_version: i64) -> Result<()> {
        let current = shared(txn.get_database_backend(), "token_version", id);
        let current = txn.query_one_raw(current).await?;
        let current = current.map(|row| row.try_get::<i64>("", "token_version"));
        if current.transpose()? == Some(token_version) {
            Ok(())
        } else {
            Err(Error::Revoked)
        }
    }

    /// The same for somebody who is going to change or delete accounts, perhaps their own, which is locked as by
    /// [`find_locked`](Self::find_locked): two who share a lock could not both raise it.
    ///
    /// # Errors
    /// [`Error::Revoked`].
    pub async fn assert_current_alone(
        txn: &Transaction,
        id: i64,
        token_version: i64,
    ) -> Result<()> {
        match lock(txn, id).await? {
            Some(account) if account.token_version == token_version => Ok(()),
            _ => Err(Error::Revoked),
        }
    }

    /// The customers who are administrators.
    pub async fn customers_of_administrators(txn: &Transaction) -> Result<Vec<i64>> {
        let administrators = Entity::find().filter(is_administrator());
        let customers = administrators.filter(Column::CustomerId.is_not_null());
        let ids = customers.select_only().column(Column::CustomerId);
        Ok(ids.into_tuple().all(txn).await?)
    }

    /// The id of the customer's account.
    pub async fn id_of_customer(txn: &Transaction, customer_id: i64) -> Result<Option<i64>> {
        let account = Entity::find().filter(Column::CustomerId.eq(customer_id));
        let id = account.select_only().column(Column::Id);
        Ok(id.into_tuple().one(txn).await?)
    }

    /// The customer's account, which stays as it is until the transaction ends, while other transactions may ask the
    /// same. It is asked for before the customer is locked.
    pub async fn find_of_customer(txn: &Transaction, customer_id: i64) -> Result<Option<Self>> {
        // By its id, as everybody locks it: who comes by another index locks that first, on MySQL.
        let Some(id) = Self::id_of_customer(txn, customer_id).await? else {
            return Ok(None);
        };
        let account = shared(txn.get_database_backend(), "*", id);
        Ok(Entity::find().from_raw_sql(account).one(txn).await?)
    }

    /// The same, locked as by [`find_locked`](Self::find_locked), for somebody who is going to delete it.
    pub async fn find_of_customer_locked(
        txn: &Transaction,
        customer_id: i64,
    ) -> Result<Option<Self>> {
        match Self::id_of_customer(txn, customer_id).await? {
            Some(id) => lock(txn, id).await,
            None => Ok(None),
        }
    }

    /// Makes sure that a customer without an account, who is locked by now, was not given one before that. It would
    /// have to be locked first.
    ///
    /// # Errors
    /// [`Error::WriteConflict`].
    pub async fn assert_none_of_customer(txn: &Transaction, customer_id: i64) -> Result<()> {
        match Self::id_of_customer(txn, customer_id).await? {
            Some(_) => Err(Error::WriteConflict),
            None => Ok(()),
        }
    }

    /// Whether that is the password of the account that was found, if one was. Which of the two was wrong is not told, nor
    /// does the time it takes tell.
    pub async fn authenticate(
        account: Option<&Self>,
        password: Password,
        turn: &Turn,
    ) -> Result<bool> {
        let hash = account.map(|account| PasswordHash::stored(account.password_hash.clone()));
        password.matches(hash, turn).await
    }

    /// Whether there is an administrator.
    pub async fn any_administrator(db: &impl ConnectionTrait) -> Result<bool> {
        let administrators = Entity::find().filter(is_administrator());
        Ok(administrators.one(db).await?.is_some())
    }

    /// A page of accounts with their customers.
    pub async fn list(
        db: &impl ConnectionTrait,
        listing: &Listing<Filter, Key>,
    ) -> Result<Page<WithCustomer>> {
        let page: Page<Self> = listing::fetch(db, Entity::find(), listing).await?;
        if page.items.is_empty() {
            return Ok(page.map(|account| (account, None)));
        }
        let customers = page.items.load_one(customers::Entity, db).await?;
        let mut customers = customers.into_iter();
        Ok(page.map(|account| (account, customers.next().flatten())))
    }

    /// How many accounts a list has.
    pub async fn count(db: &impl ConnectionTrait, filter: &Filter) -> Result<u64> {
        listing::count(db, Entity::find(), filter).await
    }

    /// Creates an account.
    ///
    /// # Errors
    /// [`Error::Invalid`] when there is no such customer, [`Error::NotUnique`] for the username, or when the
    /// customer has an account.
    pub async fn create(txn: &Transaction, account: &Hashed<NewAccount>) -> Result<WithCustomer> {
        let Hashed {
            what: new,
            password_hash,
            ..
        } = account;
        let customer = match new.customer_id {
            Some(id) => {
                let customer = customers::Model::find_locked(txn, id).await;
                Some(customer.map_err(customers::unknown)?)
            }
            None => None,
        };
        let now = now();
        let account = ActiveModel {
            pid: Set(uuid::Uuid::new_v4().to_string()),
            customer_id: Set(new.customer_id),
            username: Set(new.username.as_str().to_owned()),
            password_hash: Set(password_hash.clone().map(String::from).unwrap_or_default()),
            role: Set(new.role.as_str().to_owned()),
            token_version: Set(0),
            created_at: Set(now),
            updated_at: Set(now),
            ..Default::default()
        };
        match account.insert(txn).await.map_err(customer_taken()) {
            Err(Error::Db(error)) => Err(username_taken()(error)),
            account => {
                let account = (account?, customer);
                txn.happened(EventType::CustomerAccountCreated, &account);
                Ok(account)
            }
        }
    }

    /// Changes some of the account, which has to be locked. A new password or role ends the tokens that
    /// are out, a new password the codes too. Where nothing differs it stays as it is.
    ///
    /// # Errors
    /// [`Error::Revoked`] when the password that was verified has been replaced,
    /// [`Error::NotUnique`] for the username, [`Error::LastAdministrator`] when that is
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
            if locked(txn, is_administrator()).await?.len() < 2 {
                return Err(Error::LastAdministrator);
            }
            if account.customer_id.is_none() {
                let message = "must stay admin, because the account belongs to no customer";
                return Err(FieldError::at("/role", "choice", message).into());
            }
        }
        let new_role = changes.role.is_some_and(|role| role != account.role());
        let username = changes.username.as_ref().map(Username::as_str);
        let new_name = username.is_some_and(|name| name != account.username);
        if !new_role && !new_name && password_hash.is_none() {
            return Self::find(txn, id).await;
        }
        let ends_tokens = password_hash.is_some() || new_role;
        let version = account.token_version;
        let mut account = account.into_active_model();
        if let Some(username) = username {
            account.username = Set(username.to_owned());
        }
        if let Some(hash) = password_hash {
            account.password_hash = Set(hash.clone().into());
        }
        if let Some(role) = changes.role {
            txn.touch([CacheTag::Membership]);
            account.role = Set(role.as_str().to_owned());
        }
        if ends_tokens {
            account.token_version = Set(version + 1);
        }
        account.updated_at = Set(now());
        update(txn, account).await.map_err(username_taken())?;
        if password_hash.is_some() {
            codes::Model::end_of_account(txn, id).await?;
        }
        let account = Self::find(txn, id).await?;
        if new_name || new_role {
            txn.happened(EventType::CustomerAccountUpdated, &account);
        }
        if password_hash.is_some() {
            txn.happened(EventType::CustomerAccountPasswordChanged, &account);
        }
        Ok(account)
    }

    /// Sets another password for the account whose code that is. It is used by that.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the code does not work any more.
    pub async fn reset_password(
        txn: &Transaction,
        id: i64,
        code: &Code,
        changes: &Hashed<Changes>,
    ) -> Result<WithCustomer> {
        let account = Self::find_locked(txn, id).await;
        let (account, _) = account.map_err(passwords::refused_if_gone)?;
        codes::Model::redeem(txn, CodeKind::PasswordReset, code).await?;
        account.change(txn, changes).await
    }

    /// A name for the account of somebody with that address, which no other account has at this moment.
    pub async fn free_username(txn: &Transaction, email: &str) -> Result<Username> {
        let plain = Username::like(email, None);
        if let Some(plain) = plain
            && Self::find_by_username(txn, plain.as_str()).await?.is_none()
        {
            return Ok(plain);
        }
        // Should another account have this one after all, it is tried again with other digits.
        let digits = rand::rng().random_range(1_000..1_000_000);
        Username::like(email, Some(digits)).ok_or(Error::WriteConflict)
    }

    /// Deletes the account, which has to be locked, and with it the tokens that are out.
    ///
    /// # Errors
    /// [`Error::LastAdministrator`].
    pub async fn delete(self, txn: &Transaction) -> Result<()> {
        let former = Former {
            api_keys: api_keys::Model::made_by(txn, self.id).await?,
            account: self.clone(),
        };
        txn.happened(EventType::CustomerAccountDeleted, &former);
        codes::Model::end_of_account(txn, self.id).await?;
        if self.role() == Role::Admin && locked(txn, is_administrator()).await?.len() < 2 {
            return Err(Error::LastAdministrator);
        }
        if let Some(customer_id) = self.customer_id {
            // Otherwise the username would stay in histories after the customer is erased. Staff keep their
            // names there: they acted for the store.
            let name = format!("customer {customer_id}");
            order_events::Model::anonymize_actor(txn, self.id, &name).await?;
            events::Model::anonymize_actor(txn, self.id, &name).await?;
            stock_movements::Model::anonymize_actor(txn, self.id, &name).await?;
            api_keys::Model::anonymize_creator(txn, self.id, &name).await?;
            idempotency_keys::Model::delete_of_account(txn, self.id, customer_id).await?;
        }
        match Entity::delete_by_id(self.id).exec(txn).await?.rows_affected {
            0 => Err(Error::NotFound),
            _ => Ok(()),
        }
    }

    /// Says that too many logins to the account with that username have failed, if there is one and it was not said
    /// since a moment.
    pub async fn lock_out(
        txn: &Transaction,
        username: &str,
        since: DateTimeWithTimeZone,
    ) -> Result<()> {
        let Some(known) = Self::find_by_username(txn, username).await? else {
            return Ok(());
        };
        // Once, however many nodes say it at the same time.
        locked(txn, Column::Id.eq(known.id)).await?;
        let happened = EventType::CustomerAccountLockedOut;
        if !events::Model::has_happened(txn, happened, known.id, since).await? {
            txn.happened(happened, &Self::find(txn, known.id).await?);
        }
        Ok(())
    }

    /// Ends the tokens that are out.
    pub async fn log_out(self, txn: &Transaction) -> Result<()> {
        txn.touch([CacheTag::Accounts, CacheTag::Login(self.pid)]);
        Entity::update_many()
            .col_expr(Column::TokenVersion, Expr::col(Column::TokenVersion).add(1))
            .filter(Column::Id.eq(self.id))
            .exec(txn)
            .await?;
        Ok(())
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
    pub fn changed_since(&self, before: &Self) -> Vec<&'static str> {
        let fields = [
            ("username", self.username != before.username),
            ("password", self.password_hash != before.password_hash),
            ("role", self.role != before.role),
        ];
        let differing = fields.into_iter().filter(|(_, differs)| *differs);
        differing.map(|(field, _)| field).collect()
    }

    /// What the account may do.
    pub fn role(&self) -> Role {
        // The table's CHECK allows no other word. An account that got past it may do the least.
        Role::parse(&self.role).unwrap_or(Role::Customer)
    }

    /// The account, as it stands in history.
    pub fn actor(&self) -> Actor {
        Actor {
            kind: ActorKind::Account,
            id: Some(self.id),
            name: self.username.clone(),
        }
    }
}

fn is_administrator() -> Expr {
    Column::Role.eq(Role::Admin.as_str())
}

/// The account with that id, locked; with all administrators', so that two of them cannot leave the store without any, if
/// it is one of theirs.
async fn lock(txn: &Transaction, id: i64) -> Result<Option<Model>> {
    let Some(seen) = Entity::find_by_id(id).one(txn).await? else {
        return Ok(None);
    };
    let was_administrator = seen.role() == Role::Admin;
    let this = Column::Id.eq(id);
    let which = if was_administrator {
        this.or(is_administrator())
    } else {
        this
    };
    let mut accounts = locked(txn, which).await?.into_iter();
    let account = accounts.find(|account| account.id == id);
    match account {
        // Only now: the others would be locked after it, and not in the order of their ids.
        Some(account) if account.role() == Role::Admin && !was_administrator => {
            Err(Error::WriteConflict)
        }
        account => Ok(account),
    }
}

/// Those accounts, locked in the order of their ids.
async fn locked(txn: &Transaction, which: Expr) -> Result<Vec<Model>> {
    let accounts = Entity::find().filter(which).order_by_id_asc();
    Ok(accounts.lock_exclusive().all(txn).await?)
}

/// Reads columns of an account, which others may only read until the transaction ends.
fn shared(backend: DbBackend, columns: &str, id: i64) -> Statement {
    let lock = match backend {
        // MariaDB does not know FOR SHARE.
        DbBackend::MySql => " LOCK IN SHARE MODE",
        DbBackend::Postgres => " FOR SHARE",
        _ => "",
    };
    let account = format!("SELECT {columns} FROM customer_accounts WHERE id = ?{lock}");
    statement(backend, &account, [id.into()])
}

fn customer_taken() -> impl Fn(DbErr) -> Error {
    let index = "uq_customer_accounts_customer_id";
    taken(index, "/customer_id", "already has an account")
}

fn username_taken() -> impl Fn(DbErr) -> Error {
    let index = "uq_customer_accounts_username";
    taken(index, "/username", "belongs to another account")
}
