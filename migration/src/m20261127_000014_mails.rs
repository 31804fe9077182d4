//! Mails: what people are told by mail, and how far each has come.

use sea_orm_migration::prelude::*;

use crate::{
    columns::{Columns, one_of},
    steps,
};

const TABLE: &str = "mails";

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(m);
        // No foreign keys: a mail stays when the event is pruned, and when the customer is gone.
        steps::table(
            m,
            c.table(TABLE)
                .col(c.id())
                .col(c.number_or_null("event_id"))
                .col(c.string("template", 64))
                .col(c.string("recipient", 254))
                .col(c.string("subject", 255))
                // Who reads it, so that it is overwritten when they are erased.
                .col(c.number_or_null("customer_id"))
                // The same for all tries, so that whoever gets two knows that they are one.
                .col(c.string("message_id", 255))
                .col(c.string("status", 16))
                .col(c.number("tries"))
                // JSON.
                .col(c.text("attempts").not_null())
                .col(c.time("next_attempt_at").null())
                .col(c.string_or_null("lease", 36))
                .col(c.time("leased_until").null())
                .col(c.time("created_at"))
                .col(c.time("updated_at"))
                .check(one_of(
                    "ck_mails_status",
                    "status",
                    &["pending", "delivered", "failed", "cancelled"],
                ))
                .to_owned(),
        )
        .await?;
        for (name, columns) in [
            ("ix_mails_due", &["status", "next_attempt_at"][..]),
            ("ix_mails_event", &["event_id", "id"]),
            ("ix_mails_customer", &["customer_id"]),
            ("ix_mails_recipient", &["recipient", "id"]),
        ] {
            steps::index(m, name, TABLE, columns).await?;
        }
        Ok(())
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, TABLE).await
    }
}
