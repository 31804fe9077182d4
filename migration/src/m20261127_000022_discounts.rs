//! Discounts.

use sea_orm_migration::prelude::*;

use crate::{
    columns::{Columns, check, one_of},
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
            c.table("discounts")
                .col(c.id())
                .col(c.string("code", 64))
                // Without regard to case.
                .col(c.string("code_key", 192))
                .col(c.string("kind", 16))
                // Of a percent, or of an amount of money.
                .col(c.number_or_null("value_thousandths"))
                .col(c.time("starts_at").null())
                .col(c.time("ends_at").null())
                .col(c.number_or_null("min_subtotal_minor"))
                .col(c.number_or_null("usage_limit"))
                .col(c.number_or_null("per_customer_limit"))
                .col(c.number("used"))
                .col(c.flag("enabled"))
                .col(c.time("created_at"))
                .col(c.time("updated_at"))
                .check(one_of(
                    "ck_discounts_kind",
                    "kind",
                    &["percentage", "amount", "free_shipping"],
                ))
                .check(check(
                    "ck_discounts_value",
                    "(kind = 'free_shipping') = (value_thousandths IS NULL) AND value_thousandths > 0 \
                     AND (kind = 'amount' OR value_thousandths <= 100000)",
                ))
                .check(check("ck_discounts_used", "used >= 0 AND used <= usage_limit"))
                .to_owned(),
        )
        .await?;
        steps::unique(m, "uq_discounts_code_key", "discounts", &["code_key"]).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, "discounts").await
    }
}
