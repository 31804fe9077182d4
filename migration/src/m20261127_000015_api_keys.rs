//! API keys: what programs prove themselves with. They keep answers for their retries, as accounts do.

use sea_orm_migration::{
    prelude::*,
    sea_orm::{ConnectionTrait, DbBackend, Statement},
};

use crate::{
    columns::{Columns, check, one_of, references},
    steps,
};

const KEYS: &str = "api_keys";
const NEXT: &str = "idempotency_keys_next";
const ANSWERS: &str = "idempotency_keys";
const ACCOUNT: &str = "account_id";
const KEY: &str = "api_key_id";
const FOREIGN_KEY: &str = "fk_idempotency_keys_api_key";
const OF_ACCOUNT: &str = "uq_idempotency_keys_account_id_idempotency_key";
const OF_KEY: &str = "uq_idempotency_keys_api_key_id_idempotency_key";

#[derive(DeriveMigrationName)]
pub struct Migration;

#[async_trait::async_trait]
impl MigrationTrait for Migration {
    async fn up(&self, m: &SchemaManager) -> Result<(), DbErr> {
        let c = Columns::of(m);
        steps::table(
            m,
            c.table(KEYS)
                .col(c.id())
                // There are as many keys as places at most.
                .col(c.number("place"))
                .col(c.string("name", 64))
                .col(c.string("kind", 16))
                // JSON.
                .col(c.text("scopes").not_null())
                // SHA-256 of the key, in hexadecimal.
                .col(c.string("digest", 64))
                .col(c.string("prefix", 8))
                .col(c.number_or_null("limit_requests"))
                .col(c.number_or_null("limit_seconds"))
                .col(c.time("expires_at").null())
                .col(c.time("last_used_at").null())
                // No foreign key: the account and its name then. An account may be deleted, its keys stay.
                .col(c.number_or_null("created_by_id"))
                .col(c.string_or_null("created_by_name", 64))
                .col(c.time("created_at"))
                .check(check("ck_api_keys_place", "place BETWEEN 1 AND 1000"))
                .check(one_of(
                    "ck_api_keys_kind",
                    "kind",
                    &["publishable", "secret"],
                ))
                .check(check(
                    "ck_api_keys_limit",
                    "(limit_requests IS NULL) = (limit_seconds IS NULL) \
                     AND limit_requests BETWEEN 0 AND 1000000000 AND limit_seconds BETWEEN 1 AND 31536000",
                ))
                .to_owned(),
        )
        .await?;
        steps::unique(m, "uq_api_keys_place", KEYS, &["place"]).await?;
        steps::unique(m, "uq_api_keys_digest", KEYS, &["digest"]).await?;
        steps::index(m, "ix_api_keys_created_by", KEYS, &["created_by_id"]).await?;
        if is_sqlite(m) {
            rebuild(m, true).await?;
        } else {
            steps::column(m, ANSWERS, c.number_or_null(KEY)).await?;
            may_be_missing(m, true).await?;
            if !has_foreign_key(m).await? {
                m.create_foreign_key(of_key()).await?;
            }
        }
        steps::unique(m, OF_KEY, ANSWERS, &[KEY, "idempotency_key"]).await
    }

    async fn down(&self, m: &SchemaManager) -> Result<(), DbErr> {
        if m.has_column(ANSWERS, KEY).await? {
            let kept_by_keys = Expr::col(ACCOUNT).is_null();
            let forget = Query::delete()
                .from_table(ANSWERS)
                .and_where(kept_by_keys)
                .take();
            m.execute(forget).await?;
        }
        if is_sqlite(m) {
            rebuild(m, false).await?;
        } else {
            if has_foreign_key(m).await? {
                let drop = ForeignKey::drop()
                    .name(FOREIGN_KEY)
                    .table(ANSWERS)
                    .to_owned();
                m.drop_foreign_key(drop).await?;
            }
            steps::drop_index(m, OF_KEY, ANSWERS).await?;
            steps::drop_column(m, ANSWERS, KEY).await?;
            may_be_missing(m, false).await?;
        }
        steps::drop(m, KEYS).await
    }
}

fn is_sqlite(m: &SchemaManager<'_>) -> bool {
    m.get_connection().get_database_backend() == DbBackend::Sqlite
}

fn of_key() -> ForeignKeyCreateStatement {
    references(FOREIGN_KEY, ANSWERS, KEY, KEYS)
        .on_delete(ForeignKeyAction::Cascade)
        .take()
}

/// Whether an answer may belong to no account, where a column can be told so.
async fn may_be_missing(m: &SchemaManager<'_>, may: bool) -> Result<(), DbErr> {
    let change = match (m.get_connection().get_database_backend(), may) {
        (DbBackend::MySql, true) => "MODIFY account_id BIGINT NULL",
        (DbBackend::MySql, false) => "MODIFY account_id BIGINT NOT NULL",
        (_, true) => "ALTER COLUMN account_id DROP NOT NULL",
        (_, false) => "ALTER COLUMN account_id SET NOT NULL",
    };
    let change = format!("ALTER TABLE {ANSWERS} {change}");
    m.get_connection().execute_unprepared(&change).await?;
    Ok(())
}

/// MySQL has no ADD FOREIGN KEY IF NOT EXISTS; PostgreSQL takes back what was cut off.
async fn has_foreign_key(m: &SchemaManager<'_>) -> Result<bool, DbErr> {
    let schema = match m.get_connection().get_database_backend() {
        DbBackend::MySql => "DATABASE()",
        _ => "CURRENT_SCHEMA()",
    };
    let query = format!(
        "SELECT constraint_name FROM information_schema.table_constraints \
         WHERE constraint_schema = {schema} AND table_name = '{ANSWERS}' AND constraint_name = '{FOREIGN_KEY}'"
    );
    let db = m.get_connection();
    let query = Statement::from_string(db.get_database_backend(), query);
    Ok(db.query_one_raw(query).await?.is_some())
}

/// SQLite cannot tell a column that it may be missing: the table is made anew, with all that was in it. Where it was cut
/// off it goes on.
async fn rebuild(m: &SchemaManager<'_>, with_keys: bool) -> Result<(), DbErr> {
    const COPIED: &str = "id, account_id, idempotency_key, fingerprint, status, location, body, created_at, customer_id";
    let next = (NEXT, next_table(m, with_keys));
    steps::rebuild(m, ANSWERS, next, (KEY, with_keys), COPIED).await?;
    steps::unique(m, OF_ACCOUNT, ANSWERS, &[ACCOUNT, "idempotency_key"]).await?;
    steps::index(m, "ix_idempotency_keys_created", ANSWERS, &["created_at"]).await?;
    steps::index(m, "ix_idempotency_keys_customer", ANSWERS, &["customer_id"]).await
}

fn next_table(m: &SchemaManager<'_>, with_keys: bool) -> TableCreateStatement {
    let c = Columns::of(m);
    let mut next = c.table(NEXT);
    next.col(c.id());
    if with_keys {
        next.col(c.number_or_null(ACCOUNT));
    } else {
        next.col(c.number(ACCOUNT));
    }
    next.col(c.string("idempotency_key", 255))
        .col(c.string("fingerprint", 64))
        .col(c.number("status"))
        .col(c.string_or_null("location", 255))
        .col(c.text("body").not_null())
        .col(c.time("created_at"))
        .col(c.number_or_null("customer_id"));
    next.foreign_key(
        references(
            "fk_idempotency_keys_account",
            NEXT,
            ACCOUNT,
            "customer_accounts",
        )
        .on_delete(ForeignKeyAction::Cascade),
    );
    if with_keys {
        next.col(c.number_or_null(KEY));
        next.foreign_key(&mut of_key());
    }
    next
}
