//! Tax rates.

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
            c.table("tax_rates")
                .col(c.id())
                .col(c.string("name", 120))
                .col(c.string("country", 2))
                .col(c.string_or_null("region", 120))
                // The region without regard to case and accents; empty for the whole country.
                .col(c.string("region_key", 360))
                .col(c.string("tax_class", 32))
                .col(c.number("rate_thousandths"))
                .col(c.time("created_at"))
                .col(c.time("updated_at"))
                .check(check(
                    "ck_tax_rates_rate",
                    "rate_thousandths BETWEEN 0 AND 100000",
                ))
                .to_owned(),
        )
        .await?;
        steps::unique(
            m,
            "uq_tax_rates_country_tax_class_region_key",
            "tax_rates",
            &["country", "tax_class", "region_key"],
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, "tax_rates").await
    }
}
