//! Idempotency keys: what was answered to a POST, so that its retry is answered the same.

use sea_orm_migration::prelude::*;

use crate::{
    columns::{Columns, references},
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
            c.table("idempotency_keys")
                .col(c.id())
                .col(c.number("account_id"))
                .col(c.string("idempotency_key", 255))
                // SHA-256 of what was asked, in hexadecimal.
                .col(c.string("fingerprint", 64))
                .col(c.number("status"))
                .col(c.string_or_null("location", 255))
                .col(c.text("body").not_null())
                .col(c.time("created_at"))
                .foreign_key(
                    references(
                        "fk_idempotency_keys_account",
                        "idempotency_keys",
                        "account_id",
                        "customer_accounts",
                    )
                    .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await?;
        steps::unique(
            m,
            "uq_idempotency_keys_account_id_idempotency_key",
            "idempotency_keys",
            &["account_id", "idempotency_key"],
        )
        .await?;
        steps::index(
            m,
            "ix_idempotency_keys_created",
            "idempotency_keys",
            &["created_at"],
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, "idempotency_keys").await
    }
}
