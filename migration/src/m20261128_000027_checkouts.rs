//! Checkouts, and how many pieces those of one address hold.

use sea_orm_migration::prelude::*;

use crate::{
    columns::{Columns, check, one_of, references},
    steps,
};

const TABLE: &str = "checkouts";

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(m);
        steps::table(
            m,
            c.table(TABLE)
                .col(c.id())
                // What it is called outside: who knows that of a visitor's may see and change it.
                .col(c.string("token", 40))
                .col(c.string("status", 16))
                .col(c.number_or_null("customer_id"))
                .col(c.string_or_null("email", 254))
                // Without regard to case.
                .col(c.string_or_null("email_key", 762))
                .col(c.string_or_null("name", 120))
                .col(c.string_or_null("phone", 40))
                // All of these as JSON: an open checkout is one row.
                .col(c.text("items").not_null())
                .col(c.text("shipping_address").null())
                .col(c.text("billing_address").null())
                .col(c.text("note").null())
                .col(c.number_or_null("shipping_option_id"))
                .col(c.string_or_null("discount_code", 64))
                .col(c.number("quoted_total_minor"))
                // The pieces that are held, by product, as JSON.
                .col(c.text("held").null())
                .col(c.time("held_until").null())
                .col(c.time("first_held_at").null())
                .col(c.string_or_null("budget", 120))
                .col(c.time("created_at"))
                .col(c.time("updated_at"))
                // While it is open: when it ends. After that, of nobody's: when it is forgotten.
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
        steps::unique(m, "uq_checkouts_token", TABLE, &["token"]).await?;
        for (name, columns) in [
            ("ix_checkouts_customer", &["customer_id", "id"][..]),
            ("ix_checkouts_email", &["email_key"]),
            ("ix_checkouts_ends", &["status", "expires_at"]),
            ("ix_checkouts_held", &["held_until"]),
        ] {
            steps::index(m, name, TABLE, columns).await?;
        }
        steps::table(
            m,
            c.table("hold_budgets")
                .col(c.id())
                .col(c.string("budget", 120))
                .col(c.number("pieces"))
                .check(check("ck_hold_budgets_pieces", "pieces >= 0"))
                .to_owned(),
        )
        .await?;
        steps::unique(m, "uq_hold_budgets_budget", "hold_budgets", &["budget"]).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, "hold_budgets").await?;
        steps::drop(m, TABLE).await
    }
}
