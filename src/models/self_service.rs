//! People who help themselves: who register, set a new password, and keep their own data.
//!
//! Whoever asks for a mail is answered the same whether an address is known, and the same is written: only its reader
//! learns more. A password is asked for when the code comes back, never before: nobody prepares an account for somebody
//! else to click into being.

use std::time::Duration;

use sea_orm::{Condition, QuerySelect, entity::prelude::*};

use super::{
    Error, Result, Transaction,
    codes::{self, Proof},
    customer_accounts::{self, Hashed, NewAccount, WithCustomer},
    customers,
    input::Input,
    mails::{self, Letterhead, Notice},
    orders,
    queue::Client,
    types::{
        Code, CodeKind, CustomerName, Email, MailTemplate, NewPassword, OrderStatus, Password,
        Phone, Role, Scalar, Sealer, Username, case_fold,
    },
};

/// Who wants to register.
#[derive(Clone, Debug, Input)]
#[input(schema = RegistrationBody)]
pub struct Registration {
    /// The email address, to which a link is sent.
    pub email: Email,
    /// The full name.
    pub name: CustomerName,
}

/// The end of a registration.
#[derive(Clone, Debug, Input)]
#[input(schema = VerificationBody)]
pub struct Verification {
    /// The `token` of the link in the mail.
    pub token: Code,
    /// The password to log in with, of any characters, as long as it is not easily guessed.
    pub password: NewPassword,
    /// The name to log in with: letters a-z, digits, dot, underscore and hyphen. Without one it is made from the email
    /// address, with which one can log in, too.
    pub username: Option<Username>,
}

/// Who has forgotten a password.
#[derive(Clone, Debug, Input)]
#[input(schema = PasswordResetRequestBody)]
pub struct ForgottenPassword {
    /// The email address of the customer.
    pub email: Email,
}

/// What is to change of oneself. A field that is missing stays as it is.
#[derive(Clone, Debug, Default, Input)]
#[input(schema = MePatch)]
pub struct OwnChanges {
    /// The full name.
    #[input(change)]
    pub name: Option<CustomerName>,
    /// The telephone number: 5 to 20 digits, which may begin with + and contain blanks and ().-
    #[input(clearable)]
    pub phone: Option<Option<Phone>>,
    /// The email address to move to, to which a link is sent. It needs the current password.
    #[input(change)]
    pub email: Option<Email>,
    /// The password, which shows who asks for another email address.
    #[input(change)]
    pub current_password: Option<Password>,
}

/// What shows that somebody reads the mails to their new address.
#[derive(Clone, Debug, Input)]
#[input(schema = EmailChangeBody)]
pub struct EmailChange {
    /// The `token` of the link in the mail.
    pub token: Code,
}

/// A farewell.
#[derive(Clone, Debug, Input)]
#[input(schema = ErasureBody)]
pub struct Farewell {
    /// The password, which shows who asks for it.
    pub current_password: Password,
}

/// What is sent to somebody who asks for it: a letterhead, and a code that is good for some time.
#[derive(Clone, Debug)]
pub struct Envelope {
    letterhead: Letterhead,
    code: Code,
    sealed_code: String,
    good_for: Duration,
}

impl Envelope {
    /// One with a new code.
    ///
    /// # Errors
    /// Never in practice, as [`Sealer::seal`].
    pub fn new(letterhead: &Letterhead, sealer: &Sealer, good_for: Duration) -> Result<Self> {
        let code = Code::generated();
        Ok(Self {
            letterhead: letterhead.clone(),
            sealed_code: sealer.seal_code(&code)?,
            code,
            good_for,
        })
    }

    /// Makes the code one that proves something, or nothing.
    async fn prove(&self, txn: &Transaction, proof: Proof<'_>) -> Result<()> {
        codes::Model::issue(txn, &self.code, proof, self.good_for).await
    }

    /// Writes a mail to an address, and whose that is. It shows the code if it is of a kind that does.
    async fn mail(
        &self,
        txn: &Transaction,
        template: MailTemplate,
        to: &str,
        customer_id: Option<i64>,
    ) -> Result<()> {
        let notice = Notice {
            template,
            to,
            customer_id,
            sealed_code: template.code().map(|_| self.sealed_code.as_str()),
        };
        mails::Model::write(txn, &self.letterhead, notice).await
    }
}

impl Registration {
    /// Sends a link that ends the registration; or, where the address has an account, says so there.
    pub async fn begin(&self, txn: &Transaction, envelope: &Envelope) -> Result<()> {
        let (customer, account) = known_by(txn, &case_fold(self.email.as_str())).await?;
        let (template, proof) = match account {
            Some(_) => (
                MailTemplate::AlreadyRegistered,
                Proof::Nothing(CodeKind::Registration),
            ),
            None => (
                MailTemplate::Registration,
                Proof::Registration(&self.email, &self.name),
            ),
        };
        envelope.prove(txn, proof).await?;
        // To the letter: there are servers on which Ada@ and ada@ are two people.
        let to = customer.as_ref().map(|customer| customer.email.as_str());
        let to = to.unwrap_or(self.email.as_str());
        let customer_id = customer.as_ref().map(|customer| customer.id);
        envelope.mail(txn, template, to, customer_id).await
    }
}

/// A registration whose address is proven, with the password hashed.
#[derive(Clone, Debug)]
pub struct Verified {
    code: Code,
    pending: codes::Model,
    account: Hashed<NewAccount>,
    /// Whether the name of the account was chosen.
    is_named: bool,
}

impl Verification {
    /// Hashes the password, unless it is easily guessed. The code is looked up before that, so that strangers cannot
    /// make the server work.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the code does not work, or the password is guessable; [`Error::Busy`].
    pub async fn hashed(self, db: &impl ConnectionTrait, client: Client) -> Result<Verified> {
        let Self {
            token: code,
            password,
            username,
        } = self;
        let pending = codes::Model::find(db, CodeKind::Registration, &code).await?;
        let (name, email) = pending.applicant()?;
        let is_named = username.is_some();
        let account = NewAccount {
            customer_id: None,
            // One that is made has other digits in the end, perhaps.
            username: username
                .or_else(|| Username::like(email, Some(0)))
                .ok_or_else(Code::refused)?,
            password,
            role: Role::Customer,
        };
        let account = account.hashed_for(Some((name, email)), client).await?;
        Ok(Verified {
            code,
            pending,
            account,
            is_named,
        })
    }
}

impl Verified {
    /// Makes the account, and the customer unless there is one with that address.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the code has been used or the address has an account by now, [`Error::NotUnique`] for the
    /// username. The code stays as it was then.
    pub async fn register(&self, txn: &Transaction) -> Result<WithCustomer> {
        let (name, email) = self.pending.applicant()?;
        let email_key = case_fold(email);
        let (customer, account) = known_by(txn, &email_key).await?;
        codes::Model::lock_of_email(txn, &email_key).await?;
        codes::Model::redeem(txn, CodeKind::Registration, &self.code).await?;
        let customer = match customer {
            Some(_) if account.is_some() => return Err(Code::refused()),
            Some(customer) => customer,
            None => {
                let details = customers::Details {
                    name: CustomerName::parse(name).map_err(|_| Code::refused())?,
                    email: Email::parse(email).map_err(|_| Code::refused())?,
                    phone: None,
                };
                let created = customers::Model::create(txn, &details).await;
                created.map_err(|error| refused_if_taken(error, "/email"))?
            }
        };
        // What else was asked for with this address: it has an account now.
        codes::Model::end_of_email(txn, &email_key).await?;
        let mut account = self.account.clone().for_customer(customer.id);
        if !self.is_named {
            let username = customer_accounts::Model::free_username(txn, email).await?;
            account = account.named(username);
        }
        let created = customer_accounts::Model::create(txn, &account).await;
        created.map_err(|error| match error {
            // Another account was given the same name at the same moment: it is tried again with another.
            Error::NotUnique(error) if error.pointer == "/username" && !self.is_named => {
                Error::WriteConflict
            }
            error => refused_if_taken(error, "/customer_id"),
        })
    }
}

impl codes::Model {
    /// Who registers: their name and their email address.
    fn applicant(&self) -> Result<(&str, &str)> {
        let both = self.name.as_deref().zip(self.email.as_deref());
        both.ok_or_else(Code::refused)
    }
}

impl ForgottenPassword {
    /// Sends a link that sets a new password, if the address is that of a customer with an account.
    pub async fn remind(&self, txn: &Transaction, envelope: &Envelope) -> Result<()> {
        let email_key = case_fold(self.email.as_str());
        let (customer, account) = known_by(txn, &email_key).await?;
        let Some((customer, account)) = customer.zip(account) else {
            let nothing = Proof::Nothing(CodeKind::PasswordReset);
            return envelope.prove(txn, nothing).await;
        };
        let proof = Proof::PasswordReset {
            account_id: account.id,
            email_key: &email_key,
        };
        envelope.prove(txn, proof).await?;
        let (template, id) = (MailTemplate::PasswordReset, Some(customer.id));
        envelope.mail(txn, template, &customer.email, id).await
    }
}

impl OwnChanges {
    /// The address to move to, if that is another one.
    pub fn new_email(&self, customer: &customers::Model) -> Option<&Email> {
        let email = self.email.as_ref();
        email.filter(|email| email.as_str() != customer.email)
    }

    /// What changes at once: everything but the address.
    pub fn at_once(&self) -> customers::Changes {
        customers::Changes {
            name: self.name.clone(),
            phone: self.phone.clone(),
            email: None,
        }
    }
}

impl customers::Model {
    /// Sends a link to an address to which the customer, who has to be locked, can move their account with it; and tells
    /// the present one. Where the address is somebody else's they are told, and there is no link.
    pub async fn ask_to_move(
        &self,
        txn: &Transaction,
        account_id: i64,
        email: &Email,
        envelope: &Envelope,
    ) -> Result<()> {
        let email_key = case_fold(email.as_str());
        let owner = Self::id_of_email(txn, &email_key).await?;
        let owner = Self::find_with_email_locked(txn, owner, &email_key).await?;
        let others = owner.filter(|owner| owner.id != self.id);
        if let Some(owner) = others {
            let nothing = Proof::Nothing(CodeKind::EmailChange);
            envelope.prove(txn, nothing).await?;
            let (template, id) = (MailTemplate::EmailTaken, Some(owner.id));
            envelope.mail(txn, template, &owner.email, id).await?;
        } else {
            let proof = Proof::EmailChange { account_id, email };
            envelope.prove(txn, proof).await?;
            let (template, id) = (MailTemplate::EmailChange, Some(self.id));
            envelope.mail(txn, template, email.as_str(), id).await?;
        }
        let (template, id) = (MailTemplate::EmailChangeRequested, Some(self.id));
        envelope.mail(txn, template, &self.email, id).await
    }

    /// Moves the customer, who has to be locked, to the address that a code proves to be their account's.
    ///
    /// # Errors
    /// [`Error::Invalid`] when the code is another account's or does not work, or when the address is taken by now.
    pub async fn move_email(self, txn: &Transaction, account_id: i64, code: &Code) -> Result<Self> {
        let proven = codes::Model::find(txn, CodeKind::EmailChange, code).await?;
        if proven.account_id != Some(account_id) {
            return Err(Code::refused());
        }
        codes::Model::redeem(txn, CodeKind::EmailChange, code).await?;
        let email = Email::parse(proven.email.as_deref().unwrap_or_default());
        let changes = customers::Changes {
            email: Some(email.map_err(|_| Code::refused())?),
            ..customers::Changes::default()
        };
        let moved = self.change(txn, &changes).await;
        moved.map_err(|error| refused_if_taken(error, "/email"))
    }

    /// Deletes the customer and their account, as [`delete`](Self::delete) does, as they wish, unless an order of theirs
    /// is under way. Whoever places one at the same moment comes before, or finds no customer.
    ///
    /// # Errors
    /// [`Error::OpenOrders`]; those of [`delete`](Self::delete).
    pub async fn leave(
        self,
        txn: &Transaction,
        account: Option<customer_accounts::Model>,
    ) -> Result<()> {
        let is = |status: OrderStatus| orders::Column::Status.eq(status.as_str());
        let open = Condition::any()
            .add(is(OrderStatus::Placed))
            .add(is(OrderStatus::Paid));
        let open = orders::Entity::find()
            .select_only()
            .column(orders::Column::Id)
            .filter(orders::Column::CustomerId.eq(self.id))
            .filter(open)
            .limit(1);
        if open.into_tuple::<i64>().one(txn).await?.is_some() {
            return Err(Error::OpenOrders);
        }
        self.delete(txn, account).await
    }
}

/// The customer with that address, folded as it is, and their account: that stays as it is, and they are locked. As much
/// is read when there is none.
async fn known_by(
    txn: &Transaction,
    email_key: &str,
) -> Result<(Option<customers::Model>, Option<customer_accounts::Model>)> {
    let id = customers::Model::id_of_email(txn, email_key).await?;
    // The account first, as everywhere. No customer has id 0.
    let of = id.unwrap_or_default();
    let account = customer_accounts::Model::find_of_customer(txn, of).await?;
    let customer = customers::Model::find_with_email_locked(txn, id, email_key).await?;
    if account.is_none() {
        customer_accounts::Model::assert_none_of_customer(txn, of).await?;
    }
    Ok((customer, account))
}

/// Where somebody else was faster, the code does not work any more.
fn refused_if_taken(error: Error, pointer: &str) -> Error {
    match error {
        Error::NotUnique(error) if error.pointer == pointer => Code::refused(),
        error => error,
    }
}
