//! Checkouts: carts that are open, and those that ended. And how many pieces are held by whom.

use sea_orm_migration::prelude::*;

use crate::{
    columns::{Columns, check, one_of, references},
    steps,
};

const TABLE: &str = "checkouts";
const BUDGETS: &str = "hold_budgets";

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(m);
        steps::table(
            m,
            c.table(TABLE)
                // Not a number: nobody guesses it.
                .col(c.string("id", 40).primary_key())
                .col(c.string("status", 16))
                .col(c.number_or_null("customer_id"))
                // As it was typed, and the folded form by which it is found.
                .col(c.string_or_null("email", 254))
                .col(c.string_or_null("email_key", 762))
                .col(c.string_or_null("name", 120))
                .col(c.string_or_null("phone", 40))
                // JSON, and so are the addresses.
                .col(c.text("items").not_null())
                .col(c.text("shipping_address").null())
                .col(c.text("billing_address").null())
                .col(c.text("note").null())
                // No foreign key: a rate may be deleted, and the checkout says so then.
                .col(c.number_or_null("shipping_option_id"))
                .col(c.string_or_null("discount_code", 64))
                // Opened with the key that visitors share.
                .col(c.flag("by_guest"))
                .col(c.number("quoted_total_minor"))
                // JSON: how many pieces of each product are held, until when, since when, and by whom.
                .col(c.text("held").null())
                .col(c.time("held_until").null())
                .col(c.time("first_held_at").null())
                .col(c.string_or_null("budget", 160))
                .col(c.number("revision").default(1))
                .col(c.time("created_at"))
                .col(c.time("updated_at"))
                .col(c.time("expires_at"))
                .check(one_of(
                    "ck_checkouts_status",
                    "status",
                    &["open", "completed", "cancelled", "expired"],
                ))
                .foreign_key(
                    references("fk_checkouts_customer", TABLE, "customer_id", "customers")
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .to_owned(),
        )
        .await?;
        for (name, columns) in [
            // By these the sweeper finds what has ended.
            ("ix_checkouts_expires", &["status", "expires_at"][..]),
            ("ix_checkouts_held", &["status", "held_until"]),
            // And by these lists are read, the newest first.
            ("ix_checkouts_created", &["created_at", "id"]),
            (
                "ix_checkouts_customer",
                &["customer_id", "created_at", "id"],
            ),
            ("ix_checkouts_email", &["email_key"]),
        ] {
            steps::index(m, name, TABLE, columns).await?;
        }
        steps::table(
            m,
            c.table(BUDGETS)
                // The key and the address of who holds.
                .col(c.string("budget", 160).primary_key())
                .col(c.number("pieces"))
                .check(check("ck_hold_budgets_pieces", "pieces >= 0"))
                .to_owned(),
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, BUDGETS).await?;
        steps::drop(m, TABLE).await
    }
}
