//! The floor: writes what the host wrote about an order once more, and sends what it sent once more, with the
//! database's driver and a socket only.

use sqlx::any::{AnyPoolOptions, AnyRow};
use sqlx::{Any, AnyConnection, AnyPool, AssertSqlSafe, Column, Executor, Row as _, Transaction};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

/// The values of both databases. Nulls are omitted.
#[derive(Clone)]
enum Value {
    Whole(i64),
    Text(String),
    Bytes(Vec<u8>),
}

/// A row of any table.
#[derive(Clone)]
pub struct Row {
    table: &'static str,
    columns: Vec<(String, Value)>,
}

impl Row {
    fn read(table: &'static str, row: &AnyRow) -> Self {
        let value = |index: usize| {
            let whole = || row.try_get(index).map(Value::Whole);
            let text = || row.try_get(index).map(Value::Text);
            let bytes = || row.try_get(index).map(Value::Bytes);
            whole().or_else(|_| text()).or_else(|_| bytes()).ok()
        };
        let columns = row.columns().iter().enumerate();
        Self {
            table,
            columns: columns.filter_map(|(at, column)| Some((column.name().to_owned(), value(at)?))).collect(),
        }
    }

    fn take(&mut self, column: &str) -> Option<Value> {
        let at = self.columns.iter().position(|(name, _)| name == column)?;
        Some(self.columns.remove(at).1)
    }

    pub async fn insert(&self, connection: &mut AnyConnection) {
        let names: Vec<&str> = self.columns.iter().map(|(name, _)| name.as_str()).collect();
        let places: Vec<String> = (1..=names.len()).map(|number| format!("${number}")).collect();
        let (names, places) = (names.join(", "), places.join(", "));
        // PostgreSQL assigns identity values itself unless overridden.
        let keep = match connection.backend_name() {
            "PostgreSQL" => "overriding system value",
            _ => "",
        };
        let sql = format!("insert into {} ({names}) {keep} values ({places})", self.table);
        run(connection, sql, self.columns.iter().map(|(_, value)| value)).await;
    }
}

async fn run(connection: &mut AnyConnection, sql: String, values: impl Iterator<Item = &Value>) {
    let mut query = sqlx::query(AssertSqlSafe(sql));
    for value in values {
        query = match value {
            Value::Whole(number) => query.bind(*number),
            Value::Text(text) => query.bind(text.clone()),
            Value::Bytes(bytes) => query.bind(bytes.clone()),
        };
    }
    query.execute(connection).await.expect("written");
}

/// Everything that was written about an order because of one event.
pub struct WrittenRows {
    /// The rows at the time of the report.
    reported: Vec<Row>,
    event_sent: Option<Value>,
    job: Value,
    lane: Value,
    pub entries: Vec<Row>,
    pub outcomes: Vec<Row>,
}

impl WrittenRows {
    pub async fn of(connection: &mut AnyConnection, order: &str) -> Self {
        let mut read = async |table: &'static str, whose: &str| {
            let sql = format!("select * from {table} where {whose}");
            let rows = sqlx::query(AssertSqlSafe(sql)).bind(order).fetch_all(&mut *connection).await.expect("rows");
            rows.iter().map(|row| Row::read(table, row)).collect::<Vec<_>>()
        };
        let jobs = "select id from jobs where lane_id in (select id from job_lanes where order_id = $1)";
        let mut reported = read("orders", "id = $1").await;
        for table in ["order_references", "order_events", "job_lanes"] {
            reported.extend(read(table, "order_id = $1").await);
        }
        let mut job = read("jobs", &format!("id in ({jobs})")).await.remove(0);
        let entries = read("journal_entries", &format!("job in ({jobs}) order by position")).await;
        let outcomes = read("order_outcomes", "order_id = $1 order by id").await;
        let event_sent = job.take("event_sent");
        let (id, lane) = (job.take("id").expect("an id"), job.take("lane_id").expect("a lane"));
        for later in ["state", "worker", "lease_expires_at"] {
            job.take(later);
        }
        let queued_job = [("id", id.clone()), ("lane_id", lane.clone()), ("state", Value::Text("queued".to_owned()))];
        job.columns.extend(queued_job.map(|(name, value)| (name.to_owned(), value)));
        reported.push(job);
        Self { reported, event_sent, job: id, lane, entries, outcomes }
    }

    /// Writes the rows of a report in one commit.
    pub async fn report(&self, pool: &AnyPool) {
        let mut work = begin(pool).await;
        for row in &self.reported {
            row.insert(&mut work).await;
        }
        work.commit().await.expect("committed");
    }

    /// Writes the rows of a claim in one commit.
    pub async fn claim(&self, pool: &AnyPool) {
        let mut work = begin(pool).await;
        let sql =
            "update jobs set state = 'running', fencing_token = fencing_token + 1, worker = 'node', lease_expires_at = due_at, event_sent = $2
                   where id = $1";
        run(&mut work, sql.to_owned(), [&self.job].into_iter().chain(&self.event_sent)).await;
        let sql = "update job_lanes set current_job = $1 where id = $2";
        run(&mut work, sql.to_owned(), [&self.job, &self.lane].into_iter()).await;
        work.commit().await.expect("committed");
    }

    /// Writes the rows of an end in one commit.
    pub async fn finish(&self, pool: &AnyPool) {
        let mut work = begin(pool).await;
        run(&mut work, "update jobs set state = 'done' where id = $1".to_owned(), [&self.job].into_iter()).await;
        run(&mut work, "update job_lanes set current_job = null where id = $1".to_owned(), [&self.lane].into_iter())
            .await;
        work.commit().await.expect("committed");
    }
}

/// Writes these rows in one commit.
pub async fn write(pool: &AnyPool, rows: impl IntoIterator<Item = &Row>) {
    let mut work = begin(pool).await;
    for row in rows {
        row.insert(&mut work).await;
    }
    work.commit().await.expect("committed");
}

async fn begin(pool: &AnyPool) -> Transaction<'static, Any> {
    let statement = match pool.connect_options().database_url.scheme() {
        "sqlite" => "begin immediate",
        _ => "begin",
    };
    pool.begin_with(statement).await.expect("a transaction")
}

/// Opens a database with the store's tables, and connections with the store's durability settings. SQLite has one
/// writer, and so one connection.
pub async fn open(database: &str) -> AnyPool {
    let store =
        cartwright_store::Store::open(database, cartwright_store::Keyring::new([0; 32])).await.expect("a store");
    store.close().await;
    let is_sqlite = database.starts_with("sqlite:");
    let options = AnyPoolOptions::new().max_connections(if is_sqlite { 1 } else { 8 });
    let prepared = options.after_connect(move |connection, _| {
        Box::pin(async move {
            if is_sqlite {
                let kept = "pragma synchronous = full; pragma foreign_keys = on; pragma secure_delete = on";
                connection.execute(kept).await?;
            }
            Ok(())
        })
    });
    prepared.connect(database).await.expect("connections")
}

/// A persistent connection to the ERP system.
pub struct Erp {
    stream: TcpStream,
    authority: String,
}

impl Erp {
    pub async fn at(url: &str) -> Self {
        let authority = url.trim_start_matches("http://").trim_end_matches("/orders").to_owned();
        let stream = TcpStream::connect(&authority).await.expect("a connection");
        stream.set_nodelay(true).expect("a socket");
        Self { stream, authority }
    }

    /// Sends the hook's request.
    pub async fn post(&mut self) {
        let body = r#"{"at":1767268800000,"waited":3600000}"#;
        let head = format!(
            "POST /orders HTTP/1.1\r\nhost: {}\r\nauthorization: Bearer erp-token\r\nidempotency-key: 0123456789abcdef\r\n\
             content-type: application/json\r\nuser-agent: floor\r\naccept: */*\r\ncontent-length: {}\r\n\r\n{body}",
            self.authority,
            body.len()
        );
        self.stream.write_all(head.as_bytes()).await.expect("sent");
        let mut answer = Vec::new();
        while !is_complete(&answer) {
            assert_ne!(self.stream.read_buf(&mut answer).await.expect("an answer"), 0);
        }
        assert!(answer.starts_with(b"HTTP/1.1 200"));
    }
}

/// Returns whether a response is complete.
fn is_complete(answer: &[u8]) -> bool {
    let text = String::from_utf8_lossy(answer).to_ascii_lowercase();
    let Some((head, body)) = text.split_once("\r\n\r\n") else { return false };
    let length = head.split("content-length: ").nth(1).and_then(|rest| rest.lines().next()?.parse().ok());
    length.is_some_and(|length: usize| body.len() >= length)
}
