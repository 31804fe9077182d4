//! Codes: what proves that somebody reads the mails to an address. And mails that no event asks for, which carry them.

use sea_orm_migration::prelude::*;

use crate::{
    columns::{Columns, one_of},
    steps,
};

const TABLE: &str = "codes";
const MAILS: &str = "mails";

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(m);
        // No foreign keys: one that does nothing belongs to nobody.
        steps::table(
            m,
            c.table(TABLE)
                .col(c.id())
                // SHA-256 of the code, in hexadecimal digits.
                .col(c.string("digest", 64))
                .col(c.string("kind", 16))
                // Whose it is; of somebody who registers nobody's yet.
                .col(c.number_or_null("account_id"))
                // The address that it proves, and its folded form.
                .col(c.string_or_null("email", 254))
                .col(c.string_or_null("email_key", 254))
                // What somebody who registers is called.
                .col(c.string_or_null("name", 120))
                .col(c.time("expires_at"))
                .col(c.time("created_at"))
                .check(one_of(
                    "ck_codes_kind",
                    "kind",
                    &["registration", "password_reset", "email_change"],
                ))
                .to_owned(),
        )
        .await?;
        steps::unique(m, "uq_codes_digest", TABLE, &["digest"]).await?;
        for (name, columns) in [
            ("ix_codes_expires", &["expires_at"][..]),
            ("ix_codes_account", &["account_id"]),
            ("ix_codes_email", &["email_key"]),
        ] {
            steps::index(m, name, TABLE, columns).await?;
        }
        // Of a mail to an address that belongs to no customer yet, the folded form.
        steps::column(m, MAILS, c.string_or_null("recipient_key", 254)).await?;
        // The code that a mail will show, sealed, until it is sent.
        steps::column(m, MAILS, c.string_or_null("sealed_code", 255)).await?;
        steps::index(m, "ix_mails_recipient_key", MAILS, &["recipient_key"]).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop_index(m, "ix_mails_recipient_key", MAILS).await?;
        steps::drop_column(m, MAILS, "sealed_code").await?;
        steps::drop_column(m, MAILS, "recipient_key").await?;
        steps::drop(m, TABLE).await
    }
}
