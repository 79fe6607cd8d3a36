//! Tests that the migrations of SQLite and of PostgreSQL create the same tables.
//!
//! They compare columns with their sequence, types and defaults, primary, unique and foreign keys, indexes, checks, and
//! triggers by name. Only the types in [`TYPES`] differ. The function that a trigger of PostgreSQL calls has no
//! counterpart, and is not compared.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use sqlx::{AnyConnection, Connection};

use crate::database::Database;

/// The column types of SQLite and of PostgreSQL for the same values, and their name in a difference. `sqlx::Any`
/// supports no others.
const TYPES: [(&str, &str, &str); 3] =
    [("integer", "bigint", "64-bit integer"), ("text", "text", "text"), ("blob", "bytea", "bytes")];

/// The entry of a table that lists its columns.
const COLUMN_ORDER: &str = "order of columns";

/// Table, column, type, and the rest of the definition, in the sequence of the columns. In a `strict` table, which
/// contains only values of the declared types, the columns of the primary key are never null.
const SQLITE_COLUMNS: &str = r#"
    select t.name, c.name, lower(c.type) || case when l.strict then '' else ' in a table that is not strict' end,
           case when c."notnull" or c.pk > 0 then 'not null' else 'nullable' end
               || case when c.pk = 1 and t.sql like '%autoincrement%' then ', numbered' else '' end
               || coalesce(', default ' || c.dflt_value, '')
    from sqlite_master t
    join pragma_table_list l on l.schema = 'main' and l.name = t.name
    join pragma_table_info(t.name) c
    where t.type = 'table' and t.name not like 'sqlite%' and t.name <> '_sqlx_migrations'
    order by t.name, c.cid"#;
const POSTGRES_COLUMNS: &str = "
    select t.relname::text, c.attname::text, format_type(c.atttypid, c.atttypmod),
           case when c.attnotnull then 'not null' else 'nullable' end
               || case when c.attidentity = 'a' then ', numbered' else '' end
               || coalesce(', default ' || split_part(pg_get_expr(d.adbin, d.adrelid), '::', 1), '')
    from pg_class t
    join pg_attribute c on c.attrelid = t.oid and c.attnum > 0 and not c.attisdropped
    left join pg_attrdef d on d.adrelid = t.oid and d.adnum = c.attnum
    where t.relnamespace = 'public'::regnamespace and t.relkind = 'r' and t.relname <> '_sqlx_migrations'
    order by t.relname, c.attnum";

/// Table, another part of it, and the definition of that part, which is empty if the part's name is sufficient. SQLite
/// stores checks only within the statement that created the table: see [`checks`].
const SQLITE_PARTS: &str = r#"
    with tables as (
        select name from sqlite_master
        where type = 'table' and name not like 'sqlite%' and name <> '_sqlx_migrations'
    ), indexes as (
        select t.name as of_table, i.name, i."unique", i.origin, m.sql,
               (select group_concat(c.name, ', ' order by c.seqno) from pragma_index_info(i.name) c) as columns
        from tables t join pragma_index_list(t.name) i left join sqlite_master m on m.type = 'index' and m.name = i.name
    )
    select of_table, 'primary key', columns from indexes where origin = 'pk'
    union all
    select t.name, 'primary key', c.name from tables t join pragma_table_info(t.name) c
    where c.pk > 0 and t.name not in (select of_table from indexes where origin = 'pk')
    union all
    select of_table, 'unique (' || columns || ')', '' from indexes where origin = 'u'
    union all
    select of_table, 'index ' || name,
           case when "unique" then 'unique ' else '' end || columns
               || case when instr(sql, ' where ') > 0 then substr(sql, instr(sql, ' where ')) else '' end
    from indexes where origin = 'c'
    union all
    select t.name,
           'foreign key (' || group_concat(f."from", ', ' order by f.seq) || ') references ' || f."table"
               || ' (' || group_concat(f."to", ', ' order by f.seq) || ')'
               || case f.on_update when 'NO ACTION' then '' else ' on update ' || f.on_update end
               || case f.on_delete when 'NO ACTION' then '' else ' on delete ' || f.on_delete end, ''
    from tables t join pragma_foreign_key_list(t.name) f group by t.name, f.id
    union all
    select tbl_name, 'trigger ' || name, '' from sqlite_master where type = 'trigger'"#;
const POSTGRES_PARTS: &str = "
    with tables as (
        select oid, relname::text as name from pg_class
        where relnamespace = 'public'::regnamespace and relkind = 'r' and relname <> '_sqlx_migrations'
    ), indexes as (
        select t.name as of_table, x.indexrelid, x.indisunique, pg_get_expr(x.indpred, x.indrelid) as predicate,
               (select string_agg(c.attname::text, ', ' order by k.nth)
                from unnest(x.indkey) with ordinality k (attnum, nth)
                join pg_attribute c on c.attrelid = x.indrelid and c.attnum = k.attnum) as columns
        from tables t join pg_index x on x.indrelid = t.oid
    )
    select i.of_table, case o.contype when 'p' then 'primary key' else 'unique (' || i.columns || ')' end,
           case o.contype when 'p' then i.columns else '' end
    from indexes i join pg_constraint o on o.conindid = i.indexrelid and o.contype in ('p', 'u')
    union all
    select i.of_table, 'index ' || c.relname,
           case when i.indisunique then 'unique ' else '' end || i.columns || coalesce(' where ' || i.predicate, '')
    from indexes i join pg_class c on c.oid = i.indexrelid
    where not exists (select 1 from pg_constraint o where o.conindid = i.indexrelid and o.contype in ('p', 'u'))
    union all
    select t.name, pg_get_constraintdef(o.oid), ''
    from tables t join pg_constraint o on o.conrelid = t.oid and o.contype in ('c', 'f')
    union all
    select t.name, 'trigger ' || g.tgname, '' from tables t join pg_trigger g on g.tgrelid = t.oid and not g.tgisinternal";

/// The definitions of a table's parts.
type Table = BTreeMap<String, String>;

async fn read_tables(database: &Database) -> BTreeMap<String, Table> {
    let is_sqlite = database.url.starts_with("sqlite:");
    let (columns, parts) = if is_sqlite { (SQLITE_COLUMNS, SQLITE_PARTS) } else { (POSTGRES_COLUMNS, POSTGRES_PARTS) };
    let mut connection = AnyConnection::connect(&database.url).await.unwrap();
    let columns: Vec<(String, String, String, String)> =
        sqlx::query_as(columns).fetch_all(&mut connection).await.unwrap();
    let mut parts: Vec<(String, String, String)> = sqlx::query_as(parts).fetch_all(&mut connection).await.unwrap();
    if is_sqlite {
        let statements = "select name, sql from sqlite_master where type = 'table' and name not like 'sqlite%'";
        let statements: Vec<(String, String)> = sqlx::query_as(statements).fetch_all(&mut connection).await.unwrap();
        for (table, statement) in statements {
            parts.extend(checks(&statement).into_iter().map(|check| (table.clone(), check, String::new())));
        }
    }
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    for (table, column, declared, rest) in columns {
        let shared = TYPES.iter().find(|(sqlite, postgres, _)| declared == if is_sqlite { *sqlite } else { *postgres });
        let declared = shared.map_or(declared.as_str(), |(_, _, name)| *name);
        let table = tables.entry(table).or_default();
        table.insert(format!("column {column}"), format!("{declared}, {rest}"));
        let order = table.entry(COLUMN_ORDER.to_owned()).or_default();
        if !order.is_empty() {
            order.push_str(", ");
        }
        order.push_str(&column);
    }
    for (table, part, definition) in parts {
        if let Some(table) = tables.get_mut(&table) {
            table.insert(in_one_spelling(&part), in_one_spelling(&definition));
        }
    }
    tables
}

/// Returns the checks of a `create table` statement of SQLite.
fn checks(statement: &str) -> Vec<String> {
    let without_comments = |line: &str| line.split("--").next().unwrap_or_default().to_owned();
    let statement = statement.lines().map(without_comments).collect::<Vec<String>>().join("\n");
    let check = |(start, _): (usize, &str)| {
        let rest = statement.get(start..).unwrap_or_default();
        let mut depth = 0;
        let closes = |character: char| {
            match character {
                '(' => depth += 1,
                ')' => depth -= 1,
                _ => return false,
            }
            depth == 0
        };
        rest.get(..rest.find(closes).unwrap_or(rest.len())).unwrap_or_default().to_owned()
    };
    statement.match_indices("check (").map(check).collect()
}

/// Normalizes an expression: PostgreSQL adds parentheses and casts, and spells `in` as `= any`.
fn in_one_spelling(expression: &str) -> String {
    let plain =
        expression.to_lowercase().replace("::text", "").replace("::bigint", "").replace(['(', ')', '[', ']'], " ");
    let words = plain.split_whitespace().collect::<Vec<&str>>().join(" ");
    words.replace("= any array", "in").replace(" ,", ",")
}

/// Returns the differences between the tables of the two databases, with the migration to change.
fn differences(sqlite: &BTreeMap<String, Table>, postgres: &BTreeMap<String, Table>) -> Vec<String> {
    let missing = |table: &str, part: &str, lacks: &str, has: &str| {
        let migration = migration_of(has, table, part);
        format!("table {table}: {part} is missing in host/store/migrations/{lacks}/{migration}")
    };
    let mut found = Vec::new();
    for name in sqlite.keys().chain(postgres.keys()).collect::<BTreeSet<&String>>() {
        let (one, other) = match (sqlite.get(name), postgres.get(name)) {
            (Some(one), Some(other)) => (one, other),
            (Some(_), None) => {
                found.push(missing(name, "the table", "postgres", "sqlite"));
                continue;
            }
            (None, _) => {
                found.push(missing(name, "the table", "sqlite", "postgres"));
                continue;
            }
        };
        for part in one.keys().chain(other.keys()).collect::<BTreeSet<&String>>() {
            match (one.get(part), other.get(part)) {
                (Some(one), Some(other)) if one == other => {}
                // The missing column is reported.
                (Some(one), Some(other)) if part == COLUMN_ORDER && column_names(one) != column_names(other) => {}
                (Some(one), Some(other)) => {
                    let (in_sqlite, in_postgres) =
                        (migration_of("sqlite", name, part), migration_of("postgres", name, part));
                    found.push(format!(
                        "table {name}: {part} is `{one}` in host/store/migrations/sqlite/{in_sqlite}, but `{other}` in \
                         host/store/migrations/postgres/{in_postgres}"
                    ));
                }
                (Some(_), None) => found.push(missing(name, part, "postgres", "sqlite")),
                (None, _) => found.push(missing(name, part, "sqlite", "postgres")),
            }
        }
    }
    found
}

fn column_names(order: &str) -> BTreeSet<&str> {
    order.split(", ").collect()
}

/// Returns the newest migration of a database that names a part of a table, or else its newest: the other database's
/// migration has the same name.
fn migration_of(database: &str, table: &str, part: &str) -> String {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("migrations").join(database);
    let mut files: Vec<PathBuf> = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.sort();
    let name = part.rsplit(' ').next().unwrap_or_default();
    let names_it = |file: &&PathBuf| {
        let text = std::fs::read_to_string(file).unwrap();
        text.contains(table) && text.contains(name)
    };
    let file = files.iter().rev().find(names_it).or(files.last()).unwrap();
    file.file_name().unwrap().to_string_lossy().into_owned()
}

/// Returns both databases with their tables, or `None` if PostgreSQL is not installed.
async fn both() -> Option<(Database, Database)> {
    let (sqlite, postgres) = (Database::sqlite().await?, Database::postgres().await?);
    for database in [&sqlite, &postgres] {
        database.open().await.close().await;
    }
    Some((sqlite, postgres))
}

#[tokio::test]
async fn sqlite_and_postgres_have_the_same_tables() {
    let Some((sqlite, postgres)) = both().await else { return };
    let (sqlite, postgres) = (read_tables(&sqlite).await, read_tables(&postgres).await);
    assert!(sqlite.len() > 10, "{:?}", sqlite.keys());
    let found = differences(&sqlite, &postgres);
    assert!(found.is_empty(), "the migrations differ:\n{}", found.join("\n"));
}

#[tokio::test]
async fn a_difference_names_the_table_the_column_and_the_migration_to_change() {
    let Some((sqlite, postgres)) = both().await else { return };
    sqlite.tamper("alter table orders add column color text").await;
    sqlite.tamper("create table parcels (id text primary key not null) strict").await;
    postgres.tamper("alter table shops alter column shop drop not null").await;
    postgres.tamper("create index orders_by_version on orders (version)").await;
    let found = differences(&read_tables(&sqlite).await, &read_tables(&postgres).await);
    let begins = [
        "table orders: column color is missing in host/store/migrations/postgres/",
        "table orders: index orders_by_version is missing in host/store/migrations/sqlite/",
        "table parcels: the table is missing in host/store/migrations/postgres/",
        "table shops: column shop is `text, not null` in host/store/migrations/sqlite/",
    ];
    assert_eq!(found.len(), begins.len(), "{found:#?}");
    for (difference, begin) in found.iter().zip(begins) {
        assert!(difference.starts_with(begin) && difference.contains(".sql"), "{difference}");
    }
    assert!(found[3].contains("but `text, nullable` in host/store/migrations/postgres/"), "{}", found[3]);
}
