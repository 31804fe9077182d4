//! Order events: every status an order has had, when, by whom and why.

use sea_orm_migration::prelude::*;

use crate::{
    columns::{Columns, one_of, references},
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
            c.table("order_events")
                .col(c.id())
                .col(c.number("order_id"))
                .col(c.string("status", 16))
                // The account and its name then: an account may be deleted, history stays.
                .col(c.number_or_null("account_id"))
                .col(c.string("actor", 64))
                .col(c.text("reason").null())
                .col(c.time("created_at"))
                .check(one_of(
                    "ck_order_events_status",
                    "status",
                    &["placed", "paid", "shipped", "delivered", "cancelled"],
                ))
                .foreign_key(&mut references(
                    "fk_order_events_order",
                    "order_events",
                    "order_id",
                    "orders",
                ))
                .to_owned(),
        )
        .await?;
        steps::index(
            m,
            "ix_order_events_account",
            "order_events",
            &["account_id"],
        )
        .await?;
        steps::index(
            m,
            "ix_order_events_order",
            "order_events",
            &["order_id", "id"],
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, "order_events").await
    }
}
