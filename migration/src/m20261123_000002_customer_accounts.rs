//! Customer accounts: who may log in, at most one per customer.

use sea_orm_migration::prelude::*;

use crate::{
    columns::{Columns, check, one_of, references},
    steps,
};

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(m);
        steps::table(
            m,
            c.table("customer_accounts")
                .col(c.id())
                // What tokens name; unlike the id it is not guessable.
                .col(c.string("pid", 36))
                .col(c.number_or_null("customer_id"))
                .col(c.string("username", 64))
                .col(c.string("password_hash", 255))
                .col(c.string("role", 16))
                // Raised by whatever must end the tokens that are out: password, role, logout.
                .col(c.number("token_version").default(0))
                .col(c.time("created_at"))
                .col(c.time("updated_at"))
                .check(one_of(
                    "ck_customer_accounts_role",
                    "role",
                    &["admin", "customer"],
                ))
                .check(check(
                    "ck_customer_accounts_customer",
                    "role = 'admin' OR customer_id IS NOT NULL",
                ))
                .foreign_key(&mut references(
                    "fk_customer_accounts_customer",
                    "customer_accounts",
                    "customer_id",
                    "customers",
                ))
                .to_owned(),
        )
        .await?;
        steps::unique(m, "uq_customer_accounts_pid", "customer_accounts", &["pid"]).await?;
        steps::unique(
            m,
            "uq_customer_accounts_customer_id",
            "customer_accounts",
            &["customer_id"],
        )
        .await?;
        steps::unique(
            m,
            "uq_customer_accounts_username",
            "customer_accounts",
            &["username"],
        )
        .await?;
        steps::index(
            m,
            "ix_customer_accounts_role",
            "customer_accounts",
            &["role", "id"],
        )
        .await?;
        steps::index(
            m,
            "ix_customer_accounts_created",
            "customer_accounts",
            &["created_at", "id"],
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, "customer_accounts").await
    }
}
