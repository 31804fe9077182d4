//! Order items: what was ordered, at the name and price of that moment.

use sea_orm_migration::prelude::*;

use crate::{
    columns::{Columns, check, references},
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
            c.table("order_items")
                .col(c.id())
                .col(c.number("order_id"))
                .col(c.number("line"))
                .col(c.number("product_id"))
                .col(c.string_or_null("sku", 64))
                .col(c.string("name", 200))
                .col(c.number("unit_price_minor"))
                .col(c.number("quantity"))
                .col(c.number("line_total_minor"))
                .check(check("ck_order_items_price", "unit_price_minor >= 0"))
                .check(check("ck_order_items_quantity", "quantity > 0"))
                .check(check(
                    "ck_order_items_total",
                    "line_total_minor = unit_price_minor * quantity",
                ))
                .foreign_key(&mut references(
                    "fk_order_items_order",
                    "order_items",
                    "order_id",
                    "orders",
                ))
                .foreign_key(&mut references(
                    "fk_order_items_product",
                    "order_items",
                    "product_id",
                    "products",
                ))
                .to_owned(),
        )
        .await?;
        steps::unique(
            m,
            "uq_order_items_order_id_line",
            "order_items",
            &["order_id", "line"],
        )
        .await?;
        steps::unique(
            m,
            "uq_order_items_order_id_product_id",
            "order_items",
            &["order_id", "product_id"],
        )
        .await?;
        steps::index(m, "ix_order_items_product", "order_items", &["product_id"]).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, "order_items").await
    }
}
