//! The addresses of customers.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, DbBackend},
};

use crate::{
    columns::{Columns, check, references},
    steps,
};

const TABLE: &str = "customer_addresses";
const EVENTS: &str = "events";
const EVENTS_INDEX: &str = "ix_events_customer_address";

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
                .col(c.number("customer_id"))
                // The customer whose default it is. No customer has two.
                .col(c.number_or_null("default_of"))
                .col(c.string("name", 120))
                .col(c.string_or_null("company", 120))
                .col(c.string("line1", 200))
                .col(c.string_or_null("line2", 200))
                .col(c.string("city", 120))
                .col(c.string_or_null("region", 120))
                .col(c.string_or_null("postal_code", 20))
                .col(c.string("country", 2))
                .col(c.string_or_null("phone", 40))
                .check(check(
                    "ck_customer_addresses_default_of",
                    "default_of = customer_id",
                ))
                .foreign_key(&mut references(
                    "fk_customer_addresses_customer",
                    TABLE,
                    "customer_id",
                    "customers",
                ))
                .to_owned(),
        )
        .await?;
        steps::unique(
            m,
            "uq_customer_addresses_default_of",
            TABLE,
            &["default_of"],
        )
        .await?;
        steps::index(
            m,
            "ix_customer_addresses_customer",
            TABLE,
            &["customer_id", "id"],
        )
        .await?;
        // Events of addresses are found by their customer. MySQL has an index of all events by that already.
        if m.get_connection().get_database_backend() == DbBackend::MySql {
            return Ok(());
        }
        steps::index_where(
            m,
            EVENTS_INDEX,
            EVENTS,
            &["customer_id"],
            ("subject_kind", "customer_address"),
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop_index(m, EVENTS_INDEX, EVENTS).await?;
        steps::drop(m, TABLE).await
    }
}
