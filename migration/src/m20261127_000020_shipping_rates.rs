//! Shipping rates.

use sea_orm_migration::prelude::*;

use crate::{
    columns::{Columns, check},
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
            c.table("shipping_rates")
                .col(c.id())
                .col(c.string("name", 120))
                // JSON.
                .col(c.text("countries").not_null())
                .col(c.number("price_minor"))
                .col(c.number_or_null("free_from_minor"))
                .col(c.string("tax_class", 32))
                .col(c.number("position"))
                .col(c.time("created_at"))
                .col(c.time("updated_at"))
                .check(check(
                    "ck_shipping_rates_price",
                    "price_minor BETWEEN 0 AND 9999999999",
                ))
                .check(check(
                    "ck_shipping_rates_free_from",
                    "free_from_minor BETWEEN 0 AND 9999999999",
                ))
                .to_owned(),
        )
        .await?;
        steps::index(
            m,
            "ix_shipping_rates_position",
            "shipping_rates",
            &["position", "id"],
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, "shipping_rates").await
    }
}
