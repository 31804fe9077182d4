//! Uses of discounts: which order has used which, and the how manieth use of its customer that was.

use sea_orm_migration::prelude::*;

use crate::{
    columns::{Columns, check, references},
    steps,
};

const TABLE: &str = "discount_uses";

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
                .col(c.number("discount_id"))
                .col(c.number("order_id"))
                .col(c.number("customer_id"))
                // From 1. Two orders of one customer that are placed at once cannot both be the last that may use it.
                .col(c.number("number"))
                .check(check("ck_discount_uses_number", "number >= 1"))
                .foreign_key(
                    references(
                        "fk_discount_uses_discount",
                        TABLE,
                        "discount_id",
                        "discounts",
                    )
                    .on_delete(ForeignKeyAction::Cascade),
                )
                .foreign_key(
                    references("fk_discount_uses_order", TABLE, "order_id", "orders")
                        .on_delete(ForeignKeyAction::Cascade),
                )
                .foreign_key(&mut references(
                    "fk_discount_uses_customer",
                    TABLE,
                    "customer_id",
                    "customers",
                ))
                .to_owned(),
        )
        .await?;
        steps::unique(m, "uq_discount_uses_order_id", TABLE, &["order_id"]).await?;
        steps::unique(
            m,
            "uq_discount_uses_discount_id_customer_id_number",
            TABLE,
            &["discount_id", "customer_id", "number"],
        )
        .await?;
        steps::index(m, "ix_discount_uses_customer", TABLE, &["customer_id"]).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, TABLE).await
    }
}
