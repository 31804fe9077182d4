//! Orders: who ordered, when, for how much, and how far it has come.

use sea_orm_migration::prelude::*;

use crate::{
    columns::{Columns, check, one_of, references},
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
            c.table("orders")
                .col(c.id())
                .col(c.number("customer_id"))
                .col(c.string("status", 16))
                .col(c.string("currency", 3))
                .col(c.number("total_minor"))
                .col(c.text("shipping_address").null())
                .col(c.text("note").null())
                .col(c.time("placed_at"))
                .col(c.time("updated_at"))
                .check(one_of(
                    "ck_orders_status",
                    "status",
                    &["placed", "paid", "shipped", "delivered", "cancelled"],
                ))
                .check(check("ck_orders_total", "total_minor >= 0"))
                .foreign_key(&mut references(
                    "fk_orders_customer",
                    "orders",
                    "customer_id",
                    "customers",
                ))
                .to_owned(),
        )
        .await?;
        steps::index(m, "ix_orders_placed", "orders", &["placed_at", "id"]).await?;
        steps::index(m, "ix_orders_total", "orders", &["total_minor", "id"]).await?;
        steps::index(
            m,
            "ix_orders_customer",
            "orders",
            &["customer_id", "placed_at", "id"],
        )
        .await?;
        steps::index(
            m,
            "ix_orders_status",
            "orders",
            &["status", "placed_at", "id"],
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, "orders").await
    }
}
