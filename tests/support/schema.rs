//! What a database has become by its migrations.

use sea_orm::{ConnectionTrait, DatabaseConnection, DbBackend, Statement};

/// Every table, column, index and constraint, a line each, in the database's own words.
pub async fn schema(db: &DatabaseConnection) -> Vec<String> {
    let backend = db.get_database_backend();
    let question = match backend {
        DbBackend::Sqlite => {
            "SELECT type || ' ' || name || ' ' || sql FROM sqlite_master
             WHERE name NOT LIKE 'sqlite%' ORDER BY 1"
        }
        DbBackend::MySql => {
            "SELECT CONCAT_WS(' ', table_name, column_name, ordinal_position, column_type,
                is_nullable, column_default, collation_name, extra)
             FROM information_schema.columns WHERE table_schema = DATABASE()
             UNION ALL SELECT CONCAT_WS(' ', table_name, index_name, non_unique, seq_in_index,
                column_name)
             FROM information_schema.statistics WHERE table_schema = DATABASE()
             UNION ALL SELECT CONCAT_WS(' ', constraint_name, check_clause)
             FROM information_schema.check_constraints WHERE constraint_schema = DATABASE()
             UNION ALL SELECT CONCAT_WS(' ', table_name, constraint_name, referenced_table_name,
                delete_rule)
             FROM information_schema.referential_constraints
             WHERE constraint_schema = DATABASE() ORDER BY 1"
        }
        _ => {
            // PostgreSQL uses the number of a column that was dropped for no other one.
            "SELECT CONCAT_WS(' ', table_name, column_name,
                ROW_NUMBER() OVER (PARTITION BY table_name ORDER BY ordinal_position), data_type,
                character_maximum_length, is_nullable, column_default, collation_name)
             FROM information_schema.columns WHERE table_schema = 'public'
             UNION ALL SELECT indexdef FROM pg_indexes WHERE schemaname = 'public'
             UNION ALL SELECT CONCAT_WS(' ', conrelid::regclass, conname,
                pg_get_constraintdef(oid))
             FROM pg_constraint WHERE connamespace = 'public'::regnamespace ORDER BY 1"
        }
    };
    let lines = db
        .query_all_raw(Statement::from_string(backend, question))
        .await
        .unwrap();
    lines
        .iter()
        .map(|line| line.try_get_by_index(0).unwrap())
        .collect()
}
