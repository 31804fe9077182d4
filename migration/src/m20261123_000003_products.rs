//! Products: what is sold, for how much, and how much of it there is.

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
            c.table("products")
                .col(c.id())
                .col(c.string_or_null("sku", 64))
                .col(c.string("name", 200))
                .col(c.text("description").null())
                .col(c.number("price_minor"))
                // NULL: not tracked, always available.
                .col(c.number_or_null("stock"))
                // Folded forms for sorting and searching: the databases fold case differently.
                .col(c.string("name_key", 600))
                .col(c.text("search_text").not_null())
                .col(c.flag("archived"))
                .col(c.time("created_at"))
                .col(c.time("updated_at"))
                .check(check(
                    "ck_products_price",
                    "price_minor BETWEEN 0 AND 9999999999",
                ))
                .check(check("ck_products_stock", "stock >= 0"))
                .to_owned(),
        )
        .await?;
        steps::unique(m, "uq_products_sku", "products", &["sku"]).await?;
        steps::index(m, "ix_products_id", "products", &["archived", "id"]).await?;
        steps::index(
            m,
            "ix_products_name",
            "products",
            &["archived", "name_key", "id"],
        )
        .await?;
        steps::index(
            m,
            "ix_products_price",
            "products",
            &["archived", "price_minor", "id"],
        )
        .await?;
        steps::index(
            m,
            "ix_products_created",
            "products",
            &["archived", "created_at", "id"],
        )
        .await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        steps::drop(m, "products").await
    }
}
