//! Stock movements: the ledger. A tracked product's stock is the sum of its movements.

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
            c.table("stock_movements")
                .col(c.id())
                .col(c.number("product_id"))
                .col(c.string("kind", 16))
                .col(c.number("delta"))
                .col(c.text("reason").null())
                .col(c.number_or_null("order_id"))
                // The account and its name then: an account may be deleted, history stays.
                .col(c.number_or_null("account_id"))
                .col(c.string("actor", 64))
                .col(c.time("created_at"))
                .check(one_of(
                    "ck_stock_movements_kind",
                    "kind",
                    &["initial", "order", "cancellation", "adjustment"],
                ))
                .foreign_key(&mut references(
                    "fk_stock_movements_product",
                    "stock_movements",
                    "product_id",
                    "products",
                ))
                .foreign_key(&mut references(
                    "fk_stock_movements_order",
                    "stock_movements",
                    "order_id",
                    "orders",
                ))
                .to_owned(),
        )
        .await?;
        steps::index(
            m,
            "ix_stock_movements_product",
            "stock_movements",
            &["product_id", "id"],
        )
        .await?;
        steps::index(
            m,
            "ix_stock_movements_account",
            "stock_movements",
            &["account_id"],
        )
        .await?;
        steps::index(
            m,
            "ix_stock_movements_order",
            "stock_movements",
            &["order_id"],
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, "stock_movements").await
    }
}
